// Run by `npm run test:fuzz`, apart from the suite: it takes its time. KEYPOOL_FUZZ_SEED names another seed, or `random`.

import t from 'tap'
import { ANYBODY, BEARERS } from './callers.ts'
import { ApiDocument } from './document.ts'
import { fuzz } from './fuzz.ts'
import { openTarget } from './target.ts'

/** The same in CI each time: no landing fails by luck. */
const SEED = 20_260_301
const RUNS = 40
const STEPS = 250

const { KEYPOOL_FUZZ_SEED: given = String(SEED) } = process.env
const seed = given === 'random' ? Math.floor(Math.random() * 2 ** 31) : Number(given)

t.setTimeout(900_000)
for (const [how, callers] of [
  ['everybody may do everything', ANYBODY],
  ['each may do what its token grants', BEARERS]
] as const) {
  t.test(`every route answers as openapi.yaml and the contract say where ${how} (seed ${seed})`, async t => {
    const document = ApiDocument.read()
    const target = await openTarget(callers)
    t.teardown(() => target.close())
    const { failure, coverage } = await fuzz(document, target, { seed, runs: RUNS, steps: STEPS, shrink: true })
    t.comment(`${coverage.requests} requests with the seed ${seed}, by operation and status:\n${String(coverage)}`)
    if (failure !== undefined) {
      t.fail(`KEYPOOL_FUZZ_SEED=${seed} npm run test:fuzz\n${failure}`)
      return
    }
    t.ok(coverage.requests >= RUNS * STEPS, `${coverage.requests} requests`)
    t.strictSame(coverage.unmet, [], 'every operation was met with success')
    const closed = document.operations.filter(({ role }) => role !== undefined)
    const [open, all] = [document.operations.filter(({ role }) => role === undefined), document.operations]
    // What needs the least role is forbidden only where it is about a pool.
    const neverForbidden = [...open, ...closed.filter(({ role, path }) => role === 'viewer' && !path.includes('{'))]
    const idsOf = (operations: readonly { id: string }[]) => operations.map(({ id }) => id)
    t.strictSame(coverage.without(401), idsOf(callers === ANYBODY ? all : open), 'all but those that are open: 401')
    t.strictSame(
      coverage.without(403).sort(),
      idsOf(callers === ANYBODY ? all : neverForbidden).sort(),
      'all that somebody may not call: 403'
    )
  })
}
