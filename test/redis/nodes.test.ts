import t, { type Test } from 'tap'
import { createTwo } from '../support/create-redis.ts'
import { byNow, generate, granted, until } from '../support/create-engine.ts'
import { isSkipped, startRedis } from '../support/redis-server.ts'

const POOL = 'default'

if (!isSkipped(t)) await nodes(t)

async function nodes(t: Test): Promise<void> {
  const server = await startRedis(t)

  /** Two nodes, and a way to have callers wait. */
  async function two(t: Test, deafen = false) {
    const nodes = await createTwo(t, server, { deafen })
    const { counts } = nodes
    /** Somebody waits at a node. */
    const wait = async ({ engine }: typeof nodes.a, holder: string, waitMs = 60_000) => {
      const { waiting } = await counts()
      const answer = engine.acquire(POOL, { holder, waitMs })
      await until(async () => (await counts()).waiting === waiting + 1)
      return answer
    }
    return { ...nodes, wait }
  }

  await t.test('a key leased on one node is released through the other', async t => {
    const { a, b } = await two(t)
    await generate(a.engine, 1)
    const lease = await granted(b.engine.acquire(POOL, {}))
    t.equal(await a.engine.release(POOL, lease.id), 'released')
    t.match(await b.engine.pool(POOL), { counts: { free: 1, leased: 0 } })
  })

  await t.test('a key freed on one node goes to the longest waiter of any node, though no time passes', async t => {
    const { a, b, counts } = await two(t)
    const answers: Promise<unknown>[] = []
    for (const [i, { engine }] of [b, a, b, b, a].entries()) {
      answers.push(Promise.resolve(engine.acquire(POOL, { holder: `${i}`, waitMs: 60_000 })))
      await until(async () => (await counts()).waiting === i + 1)
    }
    await generate(a.engine, 1)
    for (const [i, answer] of answers.entries()) {
      const lease = (await answer) as { holder: string; id: string }
      t.equal(lease.holder, `${i}`)
      t.match(await counts(), { leased: 1, free: 0, waiting: answers.length - i - 1 })
      await granted((i % 2 === 0 ? a : b).engine.release(POOL, lease.id))
    }
  })

  await t.test('a node that hears nothing looks for itself', async t => {
    const { a, b, clock, wait } = await two(t, true)
    const answer = { value: undefined as unknown }
    void wait(b, 'deaf').then(async waited => (answer.value = await waited))
    await until(async () => (await granted(a.engine.pool(POOL))).counts.waiting === 1)
    await b.settled()
    await generate(a.engine, 1)
    await b.settled()
    t.equal(answer.value, undefined)
    clock.advance(100)
    await until(() => answer.value !== undefined)
    t.match(answer.value, { holder: 'deaf' })
  })

  await t.test('the waiters of a node that is gone hold up others for three seconds', async t => {
    const { a, b, clock } = await two(t)
    const dead = b.engine.acquire(POOL, { holder: 'dead', waitMs: 60_000 })
    await until(async () => (await granted(a.engine.pool(POOL))).counts.waiting === 1)
    await b.cut()
    t.strictSame(await dead, { refusal: 'storage-unavailable', unsure: true })
    const next = a.engine.acquire(POOL, { holder: 'next', waitMs: 60_000 })
    await until(async () => (await granted(a.engine.pool(POOL))).counts.waiting === 2)
    await generate(a.engine, 1)
    for (let passed = 0; passed < 3000; passed += 100) {
      t.equal(await byNow(next), 'pending')
      clock.advance(100)
      await a.settled()
    }
    clock.advance(100)
    t.match(await next, { holder: 'next' })
    t.match(await a.engine.pool(POOL), { counts: { waiting: 0, leased: 1 } })
  })

  await t.test('a retry at another node joins the call that waits', async t => {
    const { a, b, clock, counts } = await two(t)
    const retry = { scope: 's', fingerprint: 'f' }
    const first = a.engine.acquire(POOL, { waitMs: 10_000 }, { retry })
    await until(async () => (await counts()).waiting === 1)
    const second = b.engine.acquire(POOL, { waitMs: 10_000 }, { retry })
    await b.settled()
    t.match(await counts(), { waiting: 1 })
    await generate(a.engine, 2)
    const lease = await granted(first)
    clock.advance(100)
    t.strictSame(
      { ...(await granted(second)) },
      { ...lease, expiresInMs: lease.expiresInMs - 100, keepAliveInMs: Number(lease.keepAliveInMs) - 100 }
    )
    t.match(await counts(), { leased: 1, free: 1 })
  })

  await t.test(
    'a retry at another node that finds a key first is given the same lease as the call that waits',
    async t => {
      const { a, b, clock, counts } = await two(t, true)
      const retry = { scope: 's', fingerprint: 'f' }
      const first = b.engine.acquire(POOL, { waitMs: 10_000 }, { retry })
      await until(async () => (await counts()).waiting === 1)
      await b.settled()
      await generate(a.engine, 3)
      const second = await granted(a.engine.acquire(POOL, { waitMs: 10_000 }, { retry }))
      clock.advance(100)
      t.equal((await granted(first)).id, second.id)
      t.match(await counts(), { leased: 1, free: 2, waiting: 0 })
    }
  )

  await t.test(
    'a call that waits is refused where its Idempotency-Key has leased a key for another call meanwhile',
    async t => {
      const { a, b, clock, counts } = await two(t, true)
      const first = b.engine.acquire(POOL, { waitMs: 10_000 }, { retry: { scope: 's', fingerprint: 'f' } })
      await until(async () => (await counts()).waiting === 1)
      await b.settled()
      await generate(a.engine, 3)
      await granted(a.engine.acquire(POOL, {}, { retry: { scope: 's', fingerprint: 'g' } }))
      clock.advance(100)
      t.strictSame(await first, { refusal: 'idempotency-key-reused' })
      t.match(await counts(), { leased: 1, free: 2, waiting: 0 })
    }
  )

  await t.test('a policy that another node has changed holds at once, also for what keys are made of', async t => {
    const { a, b } = await two(t)
    await generate(a.engine, 1, POOL)
    await granted(a.engine.putPool('p', {}))
    await generate(a.engine, 1, 'p')
    await granted(b.engine.deletePool('p'))
    await granted(b.engine.putPool('p', { alphabet: 'ab', length: 3 }))
    const [key] = await generate(a.engine, 1, 'p')
    t.match(key?.key, /^[ab]{3}$/)
    const [imported] = await granted(b.engine.importKeys('p', [{ key: key?.key === 'aaa' ? 'bbb' : 'aaa' }]))
    t.ok(imported)
    t.match(await a.engine.pool('p'), { keyspace: { size: 8, remaining: 6 } })
  })

  await t.test('a pool that is deleted at one node ends the waiting at the other', async t => {
    const { a, b } = await two(t)
    await granted(a.engine.putPool('p', {}))
    const answer = b.engine.acquire('p', { waitMs: 60_000 })
    await until(async () => (await granted(a.engine.pool('p'))).counts.waiting === 1)
    await granted(a.engine.deletePool('p'))
    t.strictSame(await answer, { refusal: 'unknown-pool' })
  })
}
