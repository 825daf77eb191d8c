import fc from 'fast-check'
import t from 'tap'
import { DEFAULT_POLICY, type Policy, type Random } from '../../src/pool/key-pool.ts'
import { Pair } from '../support/pool-pair.ts'
import {
  generate,
  type Generated,
  generateMany,
  many,
  manyVerbs,
  oneVerb,
  policyMembers,
  type Verb,
  wait
} from '../support/pool-verbs.ts'
import { seededRandom } from '../support/seeded-random.ts'

interface Game {
  policy: fc.Arbitrary<Partial<Policy>>
  /** The pool begins with some keys. */
  begin: fc.Arbitrary<Verb>
  steps: fc.Arbitrary<Verb[]>
  /** How often, of ten times, everything is looked at after a step: looking applies deadlines that have passed. */
  looks: number
  runs: number
}

/** What the pool draws: numbers of a seed; or always the first or the last, which makes rare meetings likely. */
const draws = fc.record({ seed: fc.nat(), position: fc.constantFrom('any', 'any', 'first', 'last') })

function drawing({ seed, position }: Generated<typeof draws>): Random {
  const { below, bytes } = seededRandom(seed)
  return { below: { any: below, first: () => 0, last: (limit: number) => limit - 1 }[position], bytes }
}

function play({ policy, begin, steps, looks, runs }: Game): void {
  const fits = ({ leaseMs = 0, maxHoldMs }: Partial<Policy>): boolean => (maxHoldMs ?? leaseMs) >= leaseMs
  const look = fc.infiniteStream(fc.nat(9).map(drawn => drawn < looks))
  fc.assert(
    fc.property(
      fc.record({ policy: policy.filter(fits), draws, patient: fc.boolean(), begin, steps, look }),
      ({ policy, draws, patient, begin, steps, look }) => {
        const pair = new Pair({ ...DEFAULT_POLICY, ...policy }, drawing(draws), patient)
        for (const step of [begin, ...steps]) {
          pair.apply(step)
          pair.check(look.next().value)
        }
        pair.end()
      }
    ),
    { numRuns: runs }
  )
}

const several = (verbs: fc.Arbitrary<Verb>, most: number): fc.Arbitrary<Verb[]> =>
  fc.array(verbs, { minLength: 5, maxLength: most, size: 'max' })
// Some 8 s, or longer where others share the processor.
t.setTimeout(1_800_000)

const calm = fc.oneof({ weight: 5, arbitrary: oneVerb }, { weight: 1, arbitrary: wait })
const wild = fc.oneof(
  { weight: 3, arbitrary: manyVerbs },
  { weight: 6, arbitrary: oneVerb },
  { weight: 2, arbitrary: wait }
)

t.test('a pool of few keys answers as a plain list does', async () => {
  const policy = fc.record(policyMembers)
  play({ policy, begin: generate(1, 3), steps: several(calm, 120), looks: 7, runs: 2500 })
})

t.test('a pool of many keys, whose deadlines pass in the same millisecond, answers as a plain list does', async () => {
  const policy = fc.record({ ...policyMembers, length: fc.constant(9), maxKeys: fc.constantFrom(90, 200) })
  play({ policy, begin: generateMany, steps: several(wild, 60), looks: 1, runs: 1000 })
})

/** Many deadlines pass at once, but for a few keys that were kept alive or renewed; then keys are asked for. */
const backlog = fc
  .record({
    made: many,
    held: fc.oneof(fc.constant(0), many),
    renewed: fc.nat(40),
    between: fc.array(calm, { maxLength: 2 }),
    deadline: fc.constantFrom<('life' | 'hold')[]>('life', 'life', 'hold'),
    kept: fc.array(fc.nat(80), { maxLength: 3 }),
    asked: fc.integer({ min: 1, max: 4 })
  })
  .map(({ made, held, renewed, between, deadline, kept, asked }): Verb[] => [
    { verb: 'generate', count: made, metadata: null },
    { verb: 'acquire many', count: held, leaseMs: undefined },
    { verb: 'wait', ms: 1 },
    { verb: 'renew many', from: held >> 1, count: renewed },
    ...between,
    { verb: 'wait for', target: 0, deadline, before: true },
    ...kept.map(nth => ({ verb: 'keep alive', target: { nth, of: 'living' } }) as const),
    { verb: 'wait', ms: 1 },
    ...Array.from(
      { length: asked },
      () => ({ verb: 'acquire', leaseMs: undefined, holder: false, owner: undefined }) as const
    )
  ])

t.test('a pool that is behind answers as a plain list does', async () => {
  const policy = fc.record({
    ...policyMembers,
    maxHoldMs: fc.constantFrom(null, 400),
    keepAliveMs: fc.constantFrom(100, 250, 1000),
    length: fc.constant(9),
    maxKeys: fc.constantFrom(40, 100)
  })
  const steps = fc.array(backlog, { minLength: 1, maxLength: 4, size: 'max' }).map(rounds => rounds.flat())
  play({ policy, begin: generate(1, 3), steps, looks: 0, runs: 2000 })
})

t.test('a pool over a vast key space answers as a plain list does', async () => {
  const policy = fc.record({ ...policyMembers, length: fc.constantFrom(60, 128) })
  play({ policy, begin: generate(1, 3), steps: several(calm, 60), looks: 7, runs: 200 })
})
