import { deepStrictEqual as same, ok } from 'node:assert/strict'
import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import t from 'tap'
import { keyId } from '../../src/pool/key-id.ts'
import {
  DEFAULT_POLICY,
  KeyPool,
  type KeyPoolOptions,
  type KeyRecord,
  type KeyState,
  type Metadata,
  type Policy,
  type Random,
  type RetiredRecord
} from '../../src/pool/key-pool.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { NaivePool } from '../support/naive-pool.ts'
import { seededRandom } from '../support/seeded-random.ts'

/** The nth newest of a list: what was touched a moment ago is where faults show, so small numbers are drawn most often. */
const nth = fc.oneof({ weight: 5, arbitrary: fc.nat(2) }, fc.nat(60))
/** Of the keys: one that lives, one that was leased a moment ago, or any that ever was. */
const target = fc.record({ nth, of: fc.constantFrom('living', 'living', 'leased', 'leased', 'ever') })
type Target = { nth: number; of: 'living' | 'leased' | 'ever' }
// Few lengths, all near each other: so deadlines meet.
const leaseMs = fc.constantFrom(undefined, undefined, undefined, 100, 100, 101, 150, 300)
const metadata = fc.constantFrom(null, { colour: 'red' }, { colour: 'blue' })
// Mostly nobody: then anybody may act on the lease.
const owner = fc.constantFrom(undefined, undefined, 'one', 'other')
const state = fc.option(fc.constantFrom<KeyState>('free', 'leased', 'cooling'), { nil: undefined })
const verb = <V extends string>(name: V) => fc.constant(name)

const policyMembers = {
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

const wait = fc.oneof(
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

const generate = (min: number, max: number) =>
  fc.record({ verb: verb('generate'), count: fc.integer({ min, max }), metadata })
const oneVerb = fc.oneof(
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
const many = fc.oneof(
  fc.integer({ min: 14, max: 80 }),
  // Next to the multiples of the sixteen deadlines that each verb applies.
  fc.constantFrom(15, 16, 17, 31, 32, 33, 34)
)
const generateMany = fc.record({ verb: verb('generate'), count: many, metadata })
const manyVerbs = fc.oneof(
  generateMany,
  { weight: 3, arbitrary: fc.record({ verb: verb('acquire many'), count: many, leaseMs }) },
  fc.record({ verb: verb('release many'), from: nth, count: many, cooldownMs: fc.constantFrom(0, 100) }),
  fc.record({ verb: verb('renew many'), from: nth, count: many }),
  fc.record({ verb: verb('keep alive many'), from: nth, count: many }),
  fc.record({ verb: verb('delete many'), from: nth, count: many }),
  fc.record({ verb: verb('next free') })
)
type Generated<A> = A extends fc.Arbitrary<infer T> ? T : never
type Verb = Generated<typeof wait | typeof oneVerb | typeof manyVerbs>

/** A walk over the keys of one state or of all, under way. */
interface Walk {
  state: KeyState | undefined
  cursor: string
  /** By serial: a key may be deleted, and the same string come again. */
  began: Map<number, { state: KeyState; moves: number }>
  met: Set<string>
}

/** A pool and its naive twin, whose answers to each verb must be the same. */
class Pair {
  readonly #clock = new ManualClock()
  readonly #random: Random
  #pool: KeyPool
  #naive: NaivePool
  /** What a disk would hold, by id. */
  #records = new Map<string, Readonly<KeyRecord | RetiredRecord>>()
  /** What the disk held at the last commit, and the twin then. */
  #committed: { records: Map<string, Readonly<KeyRecord | RetiredRecord>>; naive: NaivePool }
  /** The ids of which the journal has told since. */
  readonly #touched = new Set<string>()
  /** Every key and every lease that ever was, the newest last. */
  readonly #keys: string[] = []
  readonly #leases: { id: string; keyId: string; fence: number }[] = []
  /** Whether to sweep where a verb says 'behind', and to ask again; otherwise it is left at that. */
  readonly #patient: boolean
  #walk: Walk | undefined
  /** Apart from what the pool draws, which may be biased. */
  readonly #shuffle = seededRandom(1)

  constructor(policy: Policy, random: Random, patient: boolean) {
    this.#random = random
    this.#pool = this.#makePool({ policy })
    this.#naive = new NaivePool(policy, this.#clock.now)
    this.#committed = { records: new Map(), naive: this.#naive.copy() }
    this.#patient = patient
  }

  apply(step: Verb): void {
    const pool = this.#pool
    const naive = this.#naive
    switch (step.verb) {
      case 'wait':
        return this.#clock.advance(step.ms)
      case 'wait for': {
        const key = this.#nth(naive.keys(), step.target)
        const hold = key === undefined || key.state === 'free' ? Infinity : key.until
        const life = key?.keepAliveBy ?? Infinity
        const deadline = step.deadline === 'hold' ? hold : step.deadline === 'life' ? life : naive.nextDeadline
        const ms = deadline - this.#clock.now() - (step.before ? 1 : 0)
        return ms === Infinity ? undefined : this.#clock.advance(ms)
      }
      case 'generate': {
        const answer = this.#unlessBehind(() => pool.generate(step.count, step.metadata))
        if (answer === 'behind') return
        const drawn = typeof answer === 'string' ? [] : answer.map(({ key }) => key as string)
        this.#keys.push(...drawn)
        return same(answer, naive.generate(step.count, step.metadata, drawn))
      }
      case 'import': {
        const keys = [...new Set(step.of.map(({ from, nth }) => this.#keyFrom(from, nth)))]
        const answer = this.#unlessBehind(() => pool.importKeys(keys.map(key => ({ key, metadata: step.metadata }))))
        if (answer === 'behind') return
        if (Array.isArray(answer)) this.#keys.push(...keys)
        return same(answer, naive.importKeys(keys, step.metadata))
      }
      case 'acquire':
        return void this.#acquire(step.leaseMs, step.holder ? 'somebody' : undefined, step.owner)
      case 'acquire many':
        for (let i = 0; i < step.count && this.#acquire(step.leaseMs); i++);
        return
      case 'renew':
        return this.#renew(this.#leaseAt(step.nth).id, step.leaseMs, step.keepAlive, step.owner)
      case 'renew many':
        for (let i = 0; i < step.count; i++) this.#renew(this.#leaseAt(step.from + i).id, undefined, false)
        return
      case 'release':
        for (let i = 0; i < step.times; i++) this.#release(this.#leaseAt(step.nth).id, step.cooldownMs, step.owner)
        return
      case 'release many':
        for (let i = 0; i < step.count; i++) this.#release(this.#leaseAt(step.from + i).id, step.cooldownMs)
        return
      case 'unblock': {
        const id = this.#idOf(step.target)
        const known = this.#leases.findLast(({ keyId }) => keyId === id)?.fence ?? 1
        const fence = step.fence === 'any' ? undefined : known + { right: 0, before: -1, after: 1 }[step.fence]
        return same(pool.unblock(id, fence), naive.unblock(id, fence))
      }
      case 'keep alive':
        return this.#keepAlive(this.#idOf(step.target))
      case 'keep alive many':
        for (let i = 0; i < step.count; i++) this.#keepAlive(this.#idOf({ nth: step.from + i, of: 'living' }))
        return
      case 'delete':
        return this.#delete(this.#idOf(step.target))
      case 'delete many':
        for (let i = 0; i < step.count; i++) this.#delete(this.#idOf({ nth: step.from + i, of: 'living' }))
        return
      case 'get': {
        const id = this.#idOf(step.target)
        return same(pool.get(id, step.reveal), naive.get(id, step.reveal))
      }
      case 'activate': {
        const id = this.#idOf(step.target)
        return same(pool.activate(id), naive.activate(id))
      }
      case 'metadata':
        return this.#setMetadata(this.#idOf(step.target), step.metadata)
      case 'lease': {
        const { keyId, fence } = this.#leaseAt(step.nth)
        const id = `${keyId}.${fence + { right: 0, before: -1, after: 1 }[step.fence]}`
        const { reveal, owner } = step
        return same(pool.lease(id, { reveal, owner }), naive.lease(id, reveal, owner))
      }
      case 'list':
        return this.#list(step.state, step.limit)
      case 'next free':
        return this.#nextFree()
      case 'sweep': {
        const left = pool.sweep(step.limit)
        return same(left, pool.nextSweepAt <= this.#clock.now())
      }
      case 'policy':
        // A longest hold or a lease alone may not fit the other: both say so.
        return same(pool.setPolicy(step.changes), naive.setPolicy(step.changes))
      case 'restart':
        return this.#restart()
      case 'commit':
        this.#touched.clear()
        this.#committed = { records: new Map(this.#records), naive: naive.copy() }
        return
      case 'take back':
        return this.#takeBack()
    }
  }

  /** What holds after each step. Looking applies what has passed, so it is left out now and then. */
  check(look: boolean): void {
    const pool = this.#pool
    const now = this.#clock.now()
    const { nextDeadline } = this.#naive
    ok(pool.nextSweepAt <= nextDeadline, `sweep at ${pool.nextSweepAt}, too late for ${nextDeadline}`)
    same(pool.fence, this.#naive.fence)
    same(pool.serial, this.#naive.serial)
    same(pool.policy, this.#naive.policy)
    same(pool.keyspace(), this.#naive.keyspace())
    if (!look) return
    const counts = pool.counts()
    const behind = pool.nextSweepAt <= now
    const expected = this.#naive.counts()
    if (behind) same(counts.total + counts.retired, expected.total + expected.retired)
    else same(counts, expected)
    same(counts.free + counts.leased + counts.cooling, counts.total)
    const { holds, lives } = pool.heapSizes
    ok(holds <= 2 * counts.total, `${holds} entries for holds, ${counts.total} keys`)
    ok(lives <= 2 * counts.total, `${lives} entries for lives, ${counts.total} keys`)
  }

  /** Everything about every key and every lease that ever was. */
  checkAll(): void {
    for (const key of this.#keys) same(this.#pool.get(keyId(key), true), this.#naive.get(keyId(key), true))
    const holders = new Map<string, string>()
    for (const { id, keyId } of this.#leases) {
      const lease = this.#pool.lease(id, { reveal: true })
      same(lease, this.#naive.lease(id, true))
      if (lease === 'lease-lost') continue
      ok(!holders.has(keyId), `${id} and ${holders.get(keyId)} both run`)
      holders.set(keyId, id)
    }
    this.#sweepAll()
    this.check(true)
  }

  /** No key that ages lives for ever. */
  end(): void {
    this.checkAll()
    this.#clock.advance(1_000_000_000)
    this.checkAll()
  }

  #makePool(options: Omit<KeyPoolOptions, 'clock'>): KeyPool {
    const told = (id: string): void => {
      const before = this.#records.get(id)
      const record = pool.record(id)
      ok(!isDeepStrictEqual(record, before) || (record && 'metadata' in record && record.metadata), 'nothing changed')
      if (record === undefined) this.#records.delete(id)
      else this.#records.set(id, { ...record })
      this.#touched.add(id)
    }
    const pool: KeyPool = new KeyPool({
      ...options,
      clock: this.#clock.now,
      random: this.#random,
      journal: {
        changed: told,
        aged(id) {
          told(id)
          same(Object.keys(pool.record(id) ?? {}), ['place'])
        }
      }
    })
    return pool
  }

  /** Another pool that knows what the disk held: in no particular order, and some of it twice. */
  #restart(): void {
    const { policy, fence, serial } = this.#pool
    const records = [...this.#records]
    for (let i = records.length - 1; i > 0; i--) {
      const j = this.#shuffle.below(i + 1)
      ;[records[i], records[j]] = [records[j] as (typeof records)[0], records[i] as (typeof records)[0]]
    }
    this.#pool = this.#makePool({ policy, fence, serial })
    for (const [id, record] of [...records, ...records.slice(0, 3)]) this.#pool.restore(id, record)
    this.#walk = undefined
  }

  /** What came after the last commit could not be written: it never was, but that fences and serials are used up. */
  #takeBack(): void {
    const { records, naive } = this.#committed
    for (const id of this.#touched) this.#pool.restore(id, undefined)
    same(this.#pool.setPolicy(naive.policy), naive.policy)
    for (const id of this.#touched) this.#pool.restore(id, records.get(id))
    this.#touched.clear()
    this.#records = new Map(records)
    naive.fence = this.#pool.fence
    naive.serial = this.#pool.serial
    this.#naive = naive
    this.#committed = { records, naive: naive.copy() }
    this.#walk = undefined
  }

  #acquire(leaseMs: number | undefined, holder?: string, owner?: string): boolean {
    const answer = this.#unlessBehind(() => this.#pool.acquire({ leaseMs, holder, owner }))
    if (answer === 'behind') return false
    const picked = typeof answer === 'string' ? undefined : answer.keyId
    if (typeof answer !== 'string') {
      const before = this.#leases.at(-1)
      ok(before === undefined || before.fence < answer.fence, 'fences grow')
      this.#leases.push(answer)
    }
    same(answer, this.#naive.acquire(leaseMs, holder ?? null, owner, picked))
    return picked !== undefined
  }

  #renew(leaseId: string, leaseMs: number | undefined, keepAlive: boolean, owner?: string): void {
    same(
      this.#pool.renew(leaseId, { leaseMs, keepAlive, owner }),
      this.#naive.renew(leaseId, leaseMs, keepAlive, owner)
    )
  }

  #release(leaseId: string, cooldownMs: number, owner?: string): void {
    same(this.#pool.release(leaseId, { cooldownMs, owner }), this.#naive.release(leaseId, cooldownMs, owner))
  }

  #keepAlive(id: string): void {
    same(this.#pool.keepAlive(id), this.#naive.keepAlive(id))
  }

  #delete(id: string): void {
    same(this.#pool.delete(id), this.#naive.delete(id))
  }

  #setMetadata(id: string, metadata: Metadata | null): void {
    same(this.#pool.setMetadata(id, metadata), this.#naive.setMetadata(id, metadata))
  }

  #nextFree(): void {
    const { holds } = this.#pool.heapSizes
    const behind = this.#pool.nextSweepAt <= this.#clock.now()
    const answer = this.#pool.nextFreeInMs()
    const truth = this.#naive.nextFreeInMs()
    // Of more than 16 outdated entries, and of dead keys, it may give an instant that is too early.
    if (!behind && (holds <= 16 || truth === null)) return same(answer, truth)
    ok(answer === null ? truth === null : answer >= 0 && answer <= (truth ?? Infinity), `${answer} for ${truth}`)
  }

  #list(state: KeyState | undefined, limit: number): void {
    if (this.#walk === undefined || this.#walk.state !== state) {
      const began = this.#naive.keys().map(({ serial, state, moves }) => [serial, { state, moves }] as const)
      this.#walk = { state, cursor: '', began: new Map(began), met: new Set() }
    }
    const { cursor, began, met } = this.#walk
    const answer = this.#unlessBehind(() => this.#pool.list({ state, limit, ...(cursor === '' ? {} : { cursor }) }))
    if (answer === 'behind') return
    if (answer === 'bad-cursor') throw new Error(`${cursor} is the pool's own`)
    ok(answer.keys.length <= limit)
    same(new Set(answer.keys.map(({ id }) => id)).size, answer.keys.length)
    for (const key of answer.keys) {
      same(key, this.#naive.get(key.id))
      ok(state === undefined || key.state === state)
      met.add(key.id)
    }
    this.#walk.cursor = answer.nextCursor ?? ''
    if (answer.nextCursor !== null) return
    for (const { id, serial, moves } of this.#naive.keys()) {
      const before = began.get(serial)
      const stayed = before !== undefined && before.moves === moves && (state === undefined || before.state === state)
      ok(!stayed || met.has(id), `${id} stayed and was not listed`)
    }
    this.#walk = undefined
  }

  #unlessBehind<T>(ask: () => T): T | 'behind' {
    const { holds, lives } = this.#pool.heapSizes
    const answer = ask()
    if (answer !== 'behind') return answer
    ok(holds > 16 || lives > 16, 'so few deadlines are applied by the verb itself')
    ok(this.#pool.nextSweepAt <= this.#clock.now(), 'behind means that something is due')
    if (!this.#patient) return 'behind'
    this.#sweepAll()
    const again = ask()
    ok(again !== 'behind', 'behind, although all is swept')
    return again
  }

  #sweepAll(): void {
    let sweeps = 0
    while (this.#pool.sweep(5)) ok(++sweeps < 100, 'a sweep ends')
    ok(this.#pool.nextSweepAt > this.#clock.now())
  }

  #nth<T>(list: readonly T[], nth: number): T | undefined {
    return list[list.length - 1 - (nth % list.length)]
  }

  #idOf({ nth, of }: Target): string {
    const id = {
      living: () => this.#nth(this.#naive.keys(), nth)?.id,
      leased: () => this.#nth(this.#leases, nth)?.keyId,
      ever: () => keyId(this.#nth(this.#keys, nth) ?? 'none')
    }[of]()
    return id ?? keyId('none')
  }

  #leaseAt(nth: number): { id: string; keyId: string; fence: number } {
    return this.#nth(this.#leases, nth) ?? { id: `${keyId('none')}.1`, keyId: keyId('none'), fence: 1 }
  }

  #keyFrom(from: string, nth: number): string {
    const { alphabet, length, prefix } = this.#naive.policy
    if (from === 'elsewhere') return `elsewhere-${nth}`
    if (from === 'ever') return this.#nth(this.#keys, nth) ?? 'never'
    return prefix + Array.from({ length }, (_, i) => alphabet[(nth >> i) % alphabet.length]).join('')
  }
}

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
