import fc from 'fast-check'
import { Coverage } from './coverage.ts'
import type { ApiDocument } from './document.ts'
import { steps } from './requests.ts'
import { Run } from './run.ts'
import type { Target } from './target.ts'

export interface FuzzOptions {
  seed: number
  runs: number
  /** In each run. */
  steps: number
  /** Look for the shortest run that fails, which takes a while. */
  shrink?: boolean
}

/**
 * Drives every route of openapi.yaml: with what it takes, what it nearly takes, and what it does not. Returns what went
 * wrong first, with all that leads to it, or nothing.
 */
export async function fuzz(
  document: ApiDocument,
  target: Target,
  { seed, runs, steps: count, shrink = false }: FuzzOptions
): Promise<{ failure: string | undefined; coverage: Coverage }> {
  const coverage = new Coverage(document)
  const property = fc.asyncProperty(steps(document, count, target.callers), async all =>
    new Run(document, target, coverage).play(all)
  )
  const details = await fc.check(property, { seed, numRuns: runs, endOnFailure: !shrink })
  if (!details.failed) return { failure: undefined, coverage }
  const { errorInstance, counterexample, numRuns, numShrinks } = details
  const fault = errorInstance instanceof Error ? errorInstance.stack : String(errorInstance)
  const failure = `${fault}\nin run ${numRuns}, shrunk ${numShrinks} times, to\n${fc.stringify(counterexample)}`
  return { failure, coverage }
}
