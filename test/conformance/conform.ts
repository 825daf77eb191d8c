import t from 'tap'
import { batch } from './batch.ts'
import { concurrency } from './concurrency.ts'
import { counts } from './counts.ts'
import { deadlines } from './deadlines.ts'
import { keys } from './keys.ts'
import { leases } from './leases.ts'
import { listing } from './listing.ts'
import { pools } from './pools.ts'
import type { Facts, Provide } from './provided.ts'
import { retries } from './retries.ts'
import { traps } from './traps.ts'
import { unblocking } from './unblocking.ts'
import { waiting } from './waiting.ts'

const subjects: Record<string, Facts> = {
  pools,
  keys,
  leases,
  unblocking,
  deadlines,
  waiting,
  retries,
  batch,
  listing,
  counts,
  traps,
  concurrency
}

/**
 * The contract as tests of an engine. Every engine fulfils every fact: there is nothing to skip. Time passes only where a
 * fact says so. An engine may answer at once or later; that somebody waits is seen in the counts, as callers see it.
 */
export function conform(name: string, provide: Provide): void {
  for (const [subject, facts] of Object.entries(subjects)) {
    void t.test(`${name}: ${subject}`, async t => {
      for (const [fact, check] of Object.entries(facts)) {
        await t.test(fact, async t => check(t, await provide(t)))
      }
    })
  }
}
