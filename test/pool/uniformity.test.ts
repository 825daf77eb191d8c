import t from 'tap'
import { createKeySpace } from '../../src/pool/key-space.ts'
import { createPool, granted } from '../support/pool.ts'
import { seededRandom } from '../support/seeded-random.ts'

// The seeds are fixed, so that a test passes always or never. The critical values are those of Pearson's chi-square at a
// level of 0.001: of a thousand seeds, one would miss it by chance.
const CRITICAL = { 7: 24.32, 8: 26.12, 9: 27.88, 15: 37.7, 19: 43.82, 26: 54.05 } as const

function chiSquare(drawn: readonly string[], kinds: readonly string[]): number {
  const counts = new Map(kinds.map(kind => [kind, 0]))
  for (const kind of drawn) counts.set(kind, (counts.get(kind) ?? NaN) + 1)
  const expected = drawn.length / kinds.length
  return [...counts.values()].reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0)
}

t.test('the measure itself tells even from uneven', async t => {
  const kinds = ['a', 'b']
  t.equal(chiSquare(['a', 'b'], kinds), 0)
  t.equal(chiSquare(Array(20).fill('a'), kinds), 20)
  t.ok(Number.isNaN(chiSquare(['c'], kinds)), 'what should not be drawn')
})

t.test('each free key is equally likely, whichever was lent before', async t => {
  for (const seed of [1, 2, 3]) {
    const { pool } = createPool({ random: seededRandom(seed) })
    const ids = granted(pool.generate(20)).map(({ id }) => id)
    const drawn = Array.from({ length: 20_000 }, () => {
      const lease = granted(pool.acquire())
      pool.release(lease.id)
      return lease.keyId
    })
    t.ok(chiSquare(drawn, ids) < CRITICAL[19], `seed ${seed}`)
  }
})

t.test('each free key is equally likely to follow each other one', async t => {
  const { pool } = createPool({ random: seededRandom(4) })
  const ids = granted(pool.generate(4)).map(({ id }) => id)
  const draw = (): string => {
    const lease = granted(pool.acquire())
    pool.release(lease.id)
    return lease.keyId
  }
  const pairs = Array.from({ length: 16_000 }, () => `${draw()} ${draw()}`)
  const kinds = ids.flatMap(one => ids.map(other => `${one} ${other}`))
  t.ok(chiSquare(pairs, kinds) < CRITICAL[15])
})

t.test('each free key is equally likely after any churn', async t => {
  for (const seed of [5, 6, 7]) {
    const random = seededRandom(seed)
    const { pool, clock } = createPool({ random, policy: { keepAliveMs: null } })
    granted(pool.generate(30))
    const churn = seededRandom(seed + 100)
    for (let step = 0; step < 5000; step++) {
      const { free, total } = pool.counts()
      if (free > 8) granted(pool.acquire({ leaseMs: 100 + churn.below(1000) }))
      if (total < 30) granted(pool.generate(1))
      const { keys } = granted(pool.list({ limit: 1000 }))
      const key = keys[churn.below(keys.length)]
      if (step % 5 === 0) pool.delete(key?.id as string)
      else if (step % 5 === 1 && key?.lease) pool.release(key.lease.id, { cooldownMs: churn.below(2) * 300 })
      else if (step % 5 === 2) pool.unblock(key?.id as string)
      clock.advance(churn.below(50))
    }
    // What is free now stands in an order that only its history explains.
    while (pool.counts().free > 10) granted(pool.acquire())
    while (pool.counts().free < 10) granted(pool.generate(1))
    const ids = granted(pool.list({ state: 'free', limit: 1000 })).keys.map(({ id }) => id)
    const drawn = Array.from({ length: 10_000 }, () => {
      const lease = granted(pool.acquire())
      pool.release(lease.id)
      return lease.keyId
    })
    t.ok(chiSquare(drawn, ids) < CRITICAL[9], `seed ${seed}`)
  }
})

t.test('whether a key was lent or deleted a moment ago does not tell who is next', async t => {
  const { pool } = createPool({ random: seededRandom(8), policy: { alphabet: 'abc', length: 2 } })
  granted(pool.generate(9))
  const drawn = Array.from({ length: 9000 }, () => {
    const lease = granted(pool.acquire())
    const others = [granted(pool.acquire()), granted(pool.acquire())]
    pool.delete(lease.keyId)
    granted(pool.generate(1))
    for (const { id } of others) pool.release(id)
    return lease.key as string
  })
  const kinds = [...'abc'].flatMap(one => [...'abc'].map(other => one + other))
  t.ok(chiSquare(drawn, kinds) < CRITICAL[8])
})

t.test('each unused key is equally likely to be generated, first and last', async t => {
  const keys = [...'ab'].flatMap(x => [...'ab'].flatMap(y => [...'ab'].map(z => x + y + z)))
  const firsts: string[] = []
  const lasts: string[] = []
  const random = seededRandom(9)
  for (let rounds = 0; rounds < 8000; rounds++) {
    const space = createKeySpace({ alphabet: 'ab', length: 3, prefix: '' }, random, () => false)
    const order = keys.map(() => space.draw())
    firsts.push(order[0] as string)
    lasts.push(order[7] as string)
  }
  t.ok(chiSquare(firsts, keys) < CRITICAL[7])
  t.ok(chiSquare(lasts, keys) < CRITICAL[7])
})

t.test('each unused key is equally likely to be generated after any churn', async t => {
  for (const seed of [10, 11, 12]) {
    const random = seededRandom(seed)
    const space = createKeySpace({ alphabet: 'abc', length: 3, prefix: '' }, random, () => false)
    const used: string[] = []
    const giveBack = (): void => space.giveBack(space.placeOf(used.splice(random.below(used.length), 1)[0] as string))
    for (let step = 0; step < 2000; step++) {
      if (used.length < 20) used.push(space.draw())
      else for (let left = random.below(20); left > 0; left--) giveBack()
    }
    while (used.length > 0) giveBack()
    const all = [...'abc'].flatMap(x => [...'abc'].flatMap(y => [...'abc'].map(z => x + y + z)))
    const drawn = Array.from({ length: 27_000 }, () => {
      const key = space.draw()
      space.giveBack(space.placeOf(key))
      return key
    })
    t.ok(chiSquare(drawn, all) < CRITICAL[26], `seed ${seed}`)
  }
})

t.test('each character of a key of a vast space is equally likely, in its first and in its last place', async t => {
  const space = createKeySpace({ alphabet: 'abcdefghij', length: 40, prefix: '' }, seededRandom(13), () => false)
  const keys = Array.from({ length: 10_000 }, () => space.draw())
  for (const place of [0, 20, 39])
    t.ok(
      chiSquare(
        keys.map(key => key[place] as string),
        [...'abcdefghij']
      ) < CRITICAL[9],
      `place ${place}`
    )
})
