import t, { type Test } from 'tap'
import { type Answer, isRefusal, KEPT_MS, type LeaseView, type Operation, type Refusal } from '../../src/engine.ts'
import { byNow, createEngine, generate, granted, refusalOf, turns } from '../support/create-engine.ts'
import { KEEP_ALIVE_MS, LEASE_MS } from '../support/pool.ts'

const POOL = 'default'
const WAITING = 300
const WAIT_MS = 50_000
/** How many of those who wait are answered in one turn of the event loop, besides one per verb. */
const PER_TURN = 64

type Asked = Answer<LeaseView | Refusal>

/** A pool whose keys are all held. */
async function createHeld(t: Test, keys: number) {
  const { engine, clock } = createEngine(t)
  await granted(engine.putPool('held', {}))
  await generate(engine, keys, 'held')
  const leases: LeaseView[] = []
  for (let i = 0; i < keys; i++) leases.push(await granted(engine.acquire('held', {})))
  const releases: Operation[] = leases.map(({ id }) => ({ op: 'release', lease: id }))
  const wait = (count = WAITING, waitMs = WAIT_MS) =>
    Array.from({ length: count }, (_, i) => engine.acquire('held', { holder: String(i), waitMs }))
  return { engine, clock, leases, releases, wait }
}

/** How many are answered in each turn, until all are; their answers come in this order. */
async function countByTurn(answers: readonly Asked[]) {
  const order: number[] = []
  for (const [i, answer] of answers.entries()) void Promise.resolve(answer).then(() => order.push(i))
  // What is answered in this turn is told in its microtasks.
  for (let i = 0; i < 10; i++) await null
  const counts = [order.length]
  while (order.length < answers.length) {
    const before = order.length
    await turns()
    counts.push(order.length - before)
  }
  return { order, counts }
}

function isBounded(t: Test, counts: readonly number[], verbs = 1): void {
  t.ok(
    counts.every((count, turn) => count <= PER_TURN + (turn === 0 ? verbs : 0)),
    counts.join(' ')
  )
  t.ok(counts.filter(count => count > 0).length >= WAITING / (PER_TURN + 1), 'in several turns')
}

const inOrder = Array.from({ length: WAITING }, (_, i) => i)

t.test('a batch that frees many keys serves those who wait a few per turn, in order', async t => {
  const { engine, releases, wait } = await createHeld(t, WAITING)
  const answers = wait()
  void engine.batch('held', releases)
  const { order, counts } = await countByTurn(answers)
  isBounded(t, counts)
  t.strictSame(order, inOrder)
  const leases = await Promise.all(answers.map(granted))
  t.ok(leases.every(({ fence }, i) => i === 0 || fence > (leases[i - 1] as LeaseView).fence))
})

t.test('a newcomer passes nobody who waits for a turn to come, and gets what is left', async t => {
  const { engine, releases, wait } = await createHeld(t, WAITING + 1)
  const answers = wait()
  void engine.batch('held', releases)
  const newcomer = engine.acquire('held', { holder: 'newcomer' })
  const latecomer = engine.acquire('held', { holder: 'latecomer' })
  t.ok(newcomer instanceof Promise, 'it waits, though it asked not to')
  const { order } = await countByTurn([...answers, newcomer, latecomer])
  t.strictSame(order, [...inOrder, WAITING, WAITING + 1])
  t.equal((await granted(newcomer)).holder, 'newcomer')
  t.match(await latecomer, { refusal: 'no-free-key', counts: { waiting: 0 } })
})

t.test('a batch passes nobody who waits for a turn to come', async t => {
  const { engine, releases, wait } = await createHeld(t, WAITING)
  const answers = wait()
  void engine.batch('held', releases)
  const later = engine.batch('held', [{ op: 'acquire' }])
  t.ok(later instanceof Promise)
  t.match(await later, [{ op: 'acquire', value: { refusal: 'no-free-key' } }])
  for (const answer of answers) t.notOk(isRefusal(await byNow(answer)))
})

t.test('each verb that frees a key also gives one, however many there are in a turn', async t => {
  const { engine, leases, wait } = await createHeld(t, WAITING)
  const answers = wait()
  for (const { id } of leases) void engine.release('held', id)
  const { order, counts } = await countByTurn(answers)
  t.equal(counts[0], WAITING)
  t.strictSame(order, inOrder)
})

t.test('mass expiry serves those who wait a few per turn, in order', async t => {
  const { clock, wait } = await createHeld(t, WAITING)
  const answers = wait(WAITING, LEASE_MS + 1)
  clock.stall(LEASE_MS)
  clock.advance(0)
  const { order, counts } = await countByTurn(answers)
  isBounded(t, counts)
  t.strictSame(order, inOrder)
  for (const answer of answers) await granted(answer)
})

t.test('those whose time is up at once are refused a few per turn', async t => {
  const { clock, wait } = await createHeld(t, 1)
  const answers = wait(WAITING, 1000)
  clock.advance(1000)
  const { order, counts } = await countByTurn(answers)
  isBounded(t, counts)
  t.strictSame(order, inOrder)
  t.match(await answers[WAITING - 1], { refusal: 'no-free-key', counts: { waiting: 0 } })
})

t.test('a policy that makes all requests too long refuses them a few per turn', async t => {
  const { engine } = createEngine(t)
  const answers = Array.from({ length: WAITING }, () => engine.acquire(POOL, { leaseMs: LEASE_MS, waitMs: WAIT_MS }))
  await granted(engine.putPool(POOL, { leaseMs: 1000 }))
  const { counts } = await countByTurn(answers)
  isBounded(t, counts)
  for (const answer of answers) t.equal(await refusalOf(answer), 'lease-too-long')
})

t.test('the end of a pool refuses those who wait a few per turn', async t => {
  const { engine, clock, wait } = await createHeld(t, 1)
  const answers = wait()
  await granted(engine.deletePool('held'))
  const { counts } = await countByTurn(answers)
  isBounded(t, counts)
  for (const answer of answers) t.equal(await refusalOf(answer), 'unknown-pool')
  clock.advance(KEEP_ALIVE_MS)
  t.equal(clock.timers, 0)
})

t.test('draining refuses those who wait a few per turn, and lets others have what is free', async t => {
  const { engine, leases, wait } = await createHeld(t, 1)
  const answers = wait()
  engine.drain()
  t.equal(await refusalOf(engine.acquire('held', {})), 'no-free-key', 'at once, as ever')
  t.equal(await refusalOf(engine.release('held', leases[0]?.id ?? '')), 'granted')
  t.equal((await granted(engine.acquire('held', { holder: 'newcomer' }))).holder, 'newcomer')
  const { counts } = await countByTurn(answers)
  isBounded(t, counts, 3)
  for (const answer of answers) t.equal(await refusalOf(answer), 'draining')
})

t.test('whoever was not told yet when storage is available again waits on', async t => {
  const { engine, releases, wait } = await createHeld(t, WAITING)
  const answers = wait()
  engine.dismiss({ refusal: 'storage-unavailable' })
  engine.admit()
  await turns(3)
  t.equal((await granted(engine.pool('held'))).counts.waiting, WAITING - PER_TURN)
  void engine.batch('held', releases)
  const outcomes = await Promise.all(answers.map(refusalOf))
  t.equal(outcomes.indexOf('granted'), PER_TURN)
  t.equal(outcomes.lastIndexOf('storage-unavailable'), PER_TURN - 1)
})

t.test('pools take turns', async t => {
  const { engine } = createEngine(t)
  const pools = ['a', 'b']
  for (const pool of pools) await granted(engine.putPool(pool, {}))
  const lines = pools.map(pool =>
    Array.from({ length: WAITING }, () => engine.acquire(pool, { waitMs: WAIT_MS })).map(async answer => answer)
  )
  engine.drain()
  await turns(3)
  const answered = await Promise.all(lines.map(async line => (await Promise.all(line.map(byNowOrNot))).filter(Boolean)))
  t.ok(answered.every(({ length }) => length >= PER_TURN))
})

async function byNowOrNot(answer: Promise<unknown>): Promise<boolean> {
  return (await Promise.race([answer, 'pending'])) !== 'pending'
}

t.test('verbs that wait for the sweep go on a few per turn', async t => {
  const { engine, clock } = createEngine(t)
  for (let i = 0; i < 5; i++) await generate(engine, 1000)
  clock.stall(KEEP_ALIVE_MS)
  let listed = 0
  const pages = Array.from({ length: 50 }, async () => {
    await engine.list(POOL, { limit: 1 })
    listed++
  })
  clock.advance(0)
  const counts: number[] = []
  while (listed < 50) {
    const before = listed
    await turns()
    counts.push(listed - before)
  }
  await Promise.all(pages)
  t.ok(Math.max(...counts) <= 8, counts.join(' '))
})

t.test('while storage is unavailable, what waits for the sweep to write is refused, what reads goes on', async t => {
  const { engine, clock } = createEngine(t)
  await granted(engine.putPool(POOL, { maxKeys: 5000 }))
  for (let i = 0; i < 5; i++) await generate(engine, 1000)
  clock.stall(KEEP_ALIVE_MS)
  const answers = [
    engine.generate(POOL, { count: 1000, metadata: null }),
    engine.batch(POOL, [{ op: 'acquire' }]),
    engine.list(POOL, { limit: 1 })
  ]
  engine.dismiss({ refusal: 'storage-unavailable' })
  for (const answer of answers) t.equal(await byNow<unknown>(answer), 'pending')
  clock.advance(0)
  t.strictSame(await Promise.all(answers.map(answer => refusalOf(answer))), [
    'storage-unavailable',
    'storage-unavailable',
    'granted'
  ])
})

t.test('results that have ended are dropped in slices, without a call', async t => {
  const { engine, clock } = createEngine(t)
  await granted(engine.putPool(POOL, { keepAliveMs: null }))
  for (let i = 0; i < 5000; i++) {
    const retry = { scope: `caller ${i}`, fingerprint: 'the same' }
    await granted(engine.batch(POOL, [{ op: 'keepAlive', id: 'unknown' }], { retry }))
  }
  t.equal(clock.timers, 1)
  clock.advance(KEPT_MS - 1)
  t.equal(clock.timers, 1)
  clock.advance(1)
  await turns(10)
  t.equal(clock.timers, 0)
})
