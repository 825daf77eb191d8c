import t, { type Test } from 'tap'
import { createTwo } from '../support/create-redis.ts'
import { byNow, generate, granted, refusalOf, until } from '../support/create-engine.ts'
import { isSkipped, startRedis } from '../support/redis-server.ts'

const POOL = 'default'
/** How long a node is believed to be alive that tells nothing. */
const NODE_MS = 3000

if (!isSkipped(t)) await waiting(t)

async function waiting(t: Test): Promise<void> {
  const server = await startRedis(t)

  /** Two nodes, and a way to have callers wait. */
  async function two(t: Test, deafen = false) {
    const nodes = await createTwo(t, server, { deafen })
    const { counts } = nodes
    /** Callers wait at a node, one after the other. */
    const queueUp = async ({ engine }: typeof nodes.a, callers: number) => {
      const { waiting } = await counts()
      const answers = Array.from({ length: callers }, (_, i) =>
        Promise.resolve(engine.acquire(POOL, { holder: `${i}`, waitMs: 60_000 }))
      )
      await until(async () => (await counts()).waiting === waiting + callers)
      return answers
    }
    return { ...nodes, queueUp }
  }

  await t.test('a key that lives is found among those that died at the same moment', async t => {
    const { a, clock } = await two(t)
    const { engine } = a
    for (let round = 0; round < 30; round++) {
      await granted(engine.putPool(POOL, { keepAliveMs: 1000 }))
      await generate(engine, 20)
      await granted(engine.putPool(POOL, { keepAliveMs: null }))
      const [living] = await generate(engine, 1)
      clock.stall(1000)
      t.match(await engine.acquire(POOL, {}), { keyId: living?.id }, `round ${round}`)
      await granted(engine.delete(POOL, String(living?.id)))
    }
  })

  await t.test('callers whose node was silent for too long have their old places when it speaks again', async t => {
    const { a, b, clock, queueUp } = await two(t)
    const answers = await queueUp(a, 40)
    await a.settled()
    clock.stall(NODE_MS + 1)
    // By now they count as dead.
    const late = b.engine.acquire(POOL, { holder: 'late', waitMs: 60_000 })
    await b.settled()
    clock.advance(100)
    await a.settled()
    await generate(b.engine, 1)
    for (const [i, answer] of answers.entries()) {
      const lease = (await answer) as { holder: string; id: string }
      t.equal(lease.holder, `${i}`)
      t.equal(await byNow(late), 'pending')
      await granted(b.engine.release(POOL, lease.id))
    }
    t.match(await late, { holder: 'late' })
  })

  await t.test('a caller who waits at two nodes with one Idempotency-Key has one lease', async t => {
    const { a, b, clock, counts } = await two(t)
    const retry = { scope: 's', fingerprint: 'f' }
    const first = a.engine.acquire(POOL, { waitMs: 60_000 }, { retry })
    await until(async () => (await counts()).waiting === 1)
    await a.settled()
    clock.stall(NODE_MS + 1)
    // By now the first counts as dead.
    const second = b.engine.acquire(POOL, { waitMs: 60_000 }, { retry })
    await b.settled()
    await generate(b.engine, 2)
    clock.advance(100)
    const leases = [await granted(first), await granted(second)]
    t.equal(leases[0]?.id, leases[1]?.id)
    await until(async () => (await counts()).waiting === 0)
    t.match(await counts(), { leased: 1, free: 1 })
  })

  await t.test('many waiters of a node that is gone claim nothing once it counts as dead', async t => {
    const { a, b, clock, counts, queueUp } = await two(t)
    const answers = await queueUp(b, 100)
    await b.cut()
    await Promise.all(answers)
    await generate(a.engine, 1)
    clock.stall(NODE_MS)
    t.equal(await refusalOf(a.engine.acquire(POOL, {})), 'no-free-key')
    clock.stall(1)
    t.equal(await refusalOf(a.engine.acquire(POOL, {})), 'granted')
    t.match(await counts(), { waiting: 0 })
  })

  await t.test('callers whose answers were lost on the way leave nobody in the line', async t => {
    const { a, clock, counts } = await two(t)
    for (let lost = 0; lost < 3; lost++) {
      a.lose('acquire')
      t.strictSame(await a.engine.acquire(POOL, { waitMs: 60_000 }), { refusal: 'storage-unavailable', unsure: true })
    }
    const answer = a.engine.acquire(POOL, { waitMs: 60_000 })
    for (let passed = 0; passed <= NODE_MS; passed += 100) {
      await a.settled()
      clock.advance(100)
    }
    await generate(a.engine, 1)
    t.match(await answer, { fence: Number })
    t.match(await counts(), { waiting: 0, leased: 1 })
  })

  await t.test('who was on the way to the line when another call was lost is refused, and leaves it', async t => {
    const { a, counts } = await two(t)
    const answer = a.engine.acquire(POOL, { waitMs: 60_000 })
    a.lose('view')
    void a.engine.pool(POOL)
    const other = a.engine.acquire(POOL, { waitMs: 60_000 })
    t.match(await answer, { refusal: 'storage-unavailable' })
    t.strictSame(await other, { refusal: 'storage-unavailable' })
    await a.settled()
    t.match(await counts(), { waiting: 0 })
  })

  await t.test('who was on the way to the line when its node began to drain is refused', async t => {
    const { a, b } = await two(t)
    const answer = a.engine.acquire(POOL, { waitMs: 60_000 })
    a.engine.drain()
    t.strictSame(await answer, { refusal: 'draining' })
    await a.settled()
    t.match(await b.engine.pool(POOL), { counts: { waiting: 0 } })
  })

  await t.test('who waits at a pool that is deleted is told so, though another is made in its place', async t => {
    const { a, b, clock } = await two(t, true)
    await granted(a.engine.putPool('p', {}))
    const answer = b.engine.acquire('p', { waitMs: 60_000 })
    await until(async () => (await granted(a.engine.pool('p'))).counts.waiting === 1)
    await b.settled()
    await granted(a.engine.deletePool('p'))
    await granted(a.engine.putPool('p', {}))
    await generate(a.engine, 1, 'p')
    clock.advance(100)
    t.strictSame(await answer, { refusal: 'unknown-pool' })
    t.match(await a.engine.pool('p'), { counts: { free: 1, waiting: 0 } })
  })
}
