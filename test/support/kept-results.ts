import type { Retry } from '../../src/engine.ts'
import { KeptLimit } from '../../src/memory/kept-limit.ts'
import { ResultsByAge } from '../../src/memory/results-by-age.ts'
import { ResultsByLook } from '../../src/memory/results-by-look.ts'
import { type ResultJournal, Retries } from '../../src/memory/retries.ts'
import { ManualClock } from './manual-clock.ts'

export const retry = (scope: string, fingerprint = 'the same'): Retry => ({ scope, fingerprint })

/** A journal that holds what it was told to keep, and notes all that it was told. */
export function createResultJournal<S>() {
  const told: string[] = []
  const saved = new Map<string, S>()
  const journal: ResultJournal<S> = {
    kept: (scope, result) => {
      told.push(`kept ${scope}`)
      saved.set(scope, result)
    },
    dropped: scope => {
      told.push(`dropped ${scope}`)
      saved.delete(scope)
    }
  }
  return { journal, told, saved }
}

/** Retries of calls whose results are the answers themselves; those in `ended` have ended. */
export function createResultsByLook({ again = (result: string): string | null => `${result} again` } = {}) {
  const ended = new Set<string>()
  const { journal, told, saved } = createResultJournal<{ fingerprint: string; result: string }>()
  const results = new ResultsByLook<string>({
    keep: answer => answer,
    ended: result => ended.has(result),
    again,
    journal
  })
  return { results, ended, told, saved, ...callsOn(results) }
}

/** Likewise, but results last for their time, and weigh as many characters as they have. */
export function createResultsByAge({ limit = new KeptLimit(Infinity), clock = new ManualClock() } = {}) {
  const { journal, told, saved } = createResultJournal<{
    fingerprint: string
    until: number
    result: readonly string[]
  }>()
  const results = new ResultsByAge<string, string>({
    now: clock.now,
    limit,
    keep: answer => [...answer],
    again: result => `${result.join('')} again`,
    journal
  })
  return { results, clock, limit, told, saved, ...callsOn(results) }
}

function callsOn(results: ConstructorParameters<typeof Retries<string>>[0]) {
  const retries = new Retries<string>(results)
  let calls = 0
  const call = (scope: string, answer: string, fingerprint?: string) =>
    retries.once(retry(scope, fingerprint), () => {
      calls++
      return answer
    })
  return { retries, call, calls: () => calls }
}
