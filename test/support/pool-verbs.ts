import fc from 'fast-check'
import type { KeyState, Policy } from '../../src/pool/key-pool.ts'

// What may be done to a pool, drawn at random.

/** The nth newest of a list: what was touched a moment ago is where faults show, so small numbers are drawn most often. */
const nth = fc.oneof({ weight: 5, arbitrary: fc.nat(2) }, fc.nat(60))
/** Of the keys: one that lives, one that was leased a moment ago, or any that ever was. */
const target = fc.record({ nth, of: fc.constantFrom('living', 'living', 'leased', 'leased', 'ever') })
export type Target = { nth: number; of: 'living' | 'leased' | 'ever' }
// Few lengths, all near each other: so deadlines meet.
const leaseMs = fc.constantFrom(undefined, undefined, undefined, 100, 100, 101, 150, 300)
const metadata = fc.constantFrom(null, { colour: 'red' }, { colour: 'blue' })
// Mostly nobody: then anybody may act on the lease.
const owner = fc.constantFrom(undefined, undefined, 'one', 'other')
const state = fc.option(fc.constantFrom<KeyState>('free', 'leased', 'cooling'), { nil: undefined })
const verb = <V extends string>(name: V) => fc.constant(name)

export const policyMembers = {
  leaseMs: fc.constantFrom(100, 150, 300),
  maxHoldMs: fc.constantFrom(null, 100, 300, 400, 400, 1000),
  keepAliveMs: fc.constantFrom(null, 100, 250, 300, 400, 1000, 1000),
  alphabet: fc.constantFrom('ab', 'abc'),
  length: fc.constantFrom(2, 3),
  prefix: fc.constantFrom('', 'k'),
  reuseDeleted: fc.boolean(),
  maxKeys: fc.constantFrom(3, 6, 12)
}
const changes = fc.oneof(
  ...(Object.keys(policyMembers) as (keyof Policy)[]).map(name => fc.record({ [name]: policyMembers[name] })),
  fc.record({ keepAliveMs: policyMembers.keepAliveMs, leaseMs: policyMembers.leaseMs })
)

export const wait = fc.oneof(
  // To the deadline of a key, or one millisecond before it.
  {
    weight: 4,
    arbitrary: fc.record({
      verb: verb('wait for'),
      target: nth,
      deadline: fc.constantFrom('hold', 'life', 'first'),
      before: fc.boolean()
    })
  },
  fc.record({
    verb: verb('wait'),
    ms: fc.oneof({ weight: 3, arbitrary: fc.nat(3) }, { weight: 3, arbitrary: fc.nat(60) }, fc.nat(400))
  })
)

export const generate = (min: number, max: number) =>
  fc.record({ verb: verb('generate'), count: fc.integer({ min, max }), metadata })
export const oneVerb = fc.oneof(
  { weight: 3, arbitrary: generate(1, 3) },
  {
    weight: 2,
    arbitrary: fc.record({
      verb: verb('import'),
      of: fc.array(fc.record({ from: fc.constantFrom('space', 'elsewhere', 'ever'), nth }), {
        minLength: 1,
        maxLength: 3
      }),
      metadata
    })
  },
  { weight: 9, arbitrary: fc.record({ verb: verb('acquire'), leaseMs, holder: fc.boolean(), owner }) },
  { weight: 4, arbitrary: fc.record({ verb: verb('renew'), nth, leaseMs, keepAlive: fc.boolean(), owner }) },
  {
    weight: 6,
    arbitrary: fc.record({
      verb: verb('release'),
      nth,
      cooldownMs: fc.constantFrom(0, 0, 0, 1, 100, 300),
      times: fc.integer({ min: 1, max: 2 }),
      owner
    })
  },
  {
    weight: 3,
    arbitrary: fc.record({ verb: verb('unblock'), target, fence: fc.constantFrom('any', 'right', 'before', 'after') })
  },
  { weight: 4, arbitrary: fc.record({ verb: verb('keep alive'), target }) },
  { weight: 2, arbitrary: fc.record({ verb: verb('delete'), target }) },
  { weight: 2, arbitrary: fc.record({ verb: verb('get'), target, reveal: fc.boolean() }) },
  {
    weight: 2,
    arbitrary: fc.record({
      verb: verb('lease'),
      nth,
      fence: fc.constantFrom('right', 'before', 'after'),
      reveal: fc.boolean(),
      owner
    })
  },
  { weight: 2, arbitrary: fc.record({ verb: verb('list'), state, limit: fc.integer({ min: 1, max: 4 }) }) },
  { weight: 2, arbitrary: fc.record({ verb: verb('policy'), changes }) },
  fc.record({ verb: verb('activate'), target }),
  fc.record({ verb: verb('metadata'), target, metadata }),
  { weight: 3, arbitrary: fc.record({ verb: fc.constantFrom('restart', 'commit', 'take back') }) },
  fc.record({ verb: verb('next free') }),
  fc.record({ verb: verb('sweep'), limit: fc.nat(3) })
)
/** What puts many keys, leases and deadlines into the same millisecond. */
export const many = fc.oneof(
  fc.integer({ min: 14, max: 80 }),
  // Next to the multiples of the sixteen deadlines that each verb applies.
  fc.constantFrom(15, 16, 17, 31, 32, 33, 34)
)
export const generateMany = fc.record({ verb: verb('generate'), count: many, metadata })
export const manyVerbs = fc.oneof(
  generateMany,
  { weight: 3, arbitrary: fc.record({ verb: verb('acquire many'), count: many, leaseMs }) },
  fc.record({ verb: verb('release many'), from: nth, count: many, cooldownMs: fc.constantFrom(0, 100) }),
  fc.record({ verb: verb('renew many'), from: nth, count: many }),
  fc.record({ verb: verb('keep alive many'), from: nth, count: many }),
  fc.record({ verb: verb('delete many'), from: nth, count: many }),
  fc.record({ verb: verb('next free') })
)
export type Generated<A> = A extends fc.Arbitrary<infer T> ? T : never
/** One step of a game. */
export type Verb = Generated<typeof wait | typeof oneVerb | typeof manyVerbs>
