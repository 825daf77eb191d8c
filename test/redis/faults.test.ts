import { inspect } from 'node:util'
import t, { type Test } from 'tap'
import type { Engine, Operation } from '../../src/engine.ts'
import { createRedis } from '../support/create-redis.ts'
import { generate, granted, refusalOf, until } from '../support/create-engine.ts'
import { isSkipped, startRedis } from '../support/redis-server.ts'

const POOL = 'default'

if (!isSkipped(t)) await faults(t)

async function faults(t: Test): Promise<void> {
  await t.test('a server that is gone refuses calls, and serves again when it is back, without its keys', async t => {
    const server = await startRedis(t)
    const node = await createRedis(t, server.url)
    const { engine } = node
    await generate(engine, 1)
    await granted(engine.acquire(POOL, {}))
    const waiting = engine.acquire(POOL, { waitMs: 60_000 })
    await until(async () => (await granted(engine.pool(POOL))).counts.waiting === 1)

    await server.stop()
    t.strictSame(await waiting, { refusal: 'storage-unavailable', unsure: true })
    for (const answer of [engine.acquire(POOL, {}), engine.pool(POOL), engine.pools(), engine.putPool('p', {})]) {
      t.strictSame(await answer, { refusal: 'storage-unavailable' })
    }
    t.match(engine.readiness(), [/^the storage can't be used: /])

    await server.restart()
    await until(async () => (await refusalOf(engine.pool(POOL))) === 'granted')
    t.strictSame(engine.readiness(), [])
    t.match(await engine.pool(POOL), { counts: { total: 0, waiting: 0 } })
    t.strictSame(node.told, [
      'the Redis server answers',
      'the Redis server has no append-only file: its restart may lose all keys; set appendonly yes',
      'the Redis server can not be used: callers are refused until it can',
      'the Redis server answers'
    ])
  })

  await t.test('a server that has forgotten the scripts is told them again', async t => {
    const server = await startRedis(t)
    const { engine } = await createRedis(t, server.url)
    await generate(engine, 2)
    await server.client.script('FLUSH')
    await generate(engine, 1)
    t.match(await engine.pool(POOL), { counts: { total: 3 } })
  })

  await t.test('a server without memory refuses, changes nothing, and goes on when it has some', async t => {
    const server = await startRedis(t)
    const { engine } = await createRedis(t, server.url)
    await generate(engine, 5)
    await server.client.config('SET', 'maxmemory', '1')
    t.equal(await refusalOf(engine.acquire(POOL, {})), 'storage-unavailable')
    t.equal(await refusalOf(engine.generate(POOL, { count: 3, metadata: null })), 'storage-unavailable')
    t.match(engine.readiness(), [/OOM/])
    await server.client.config('SET', 'maxmemory', '0')
    t.match(await engine.acquire(POOL, {}), { fence: Number })
    t.match(await engine.pool(POOL), { counts: { total: 5, free: 4, leased: 1 } })
    t.strictSame(engine.readiness(), [])
  })

  await t.test('a call whose answer is lost is not sent again, and its retry gets what it did', async t => {
    const server = await startRedis(t)
    const lossy = await createRedis(t, server.url)
    const { engine } = lossy
    await generate(engine, 3)
    const retry = { scope: 's', fingerprint: 'f' }
    const lose = (verb: string): void =>
      lossy.onAnswer(answered => {
        if (answered !== verb) return
        lossy.onAnswer(() => undefined)
        throw new Error('the answer is lost')
      })
    lose('acquire')
    await t.rejects(Promise.resolve(engine.acquire(POOL, {}, { retry })), { message: 'the answer is lost' })
    t.match(await engine.pool(POOL), { counts: { leased: 1 } })
    t.match(await engine.acquire(POOL, {}, { retry }), { key: String })
    t.match(await engine.pool(POOL), { counts: { leased: 1 } })

    lose('generate')
    await t.rejects(Promise.resolve(engine.generate(POOL, { count: 2, metadata: null }, retry)))
    t.equal((await granted(engine.generate(POOL, { count: 2, metadata: null }, retry))).length, 2)
    t.match(await engine.pool(POOL), { counts: { total: 5 } })
  })

  await t.test('a batch that broke off in the middle is finished by its retry, and nothing is done twice', async t => {
    const server = await startRedis(t)
    const node = await createRedis(t, server.url)
    const { engine } = node
    await generate(engine, 300)
    const operations: Operation[] = Array.from({ length: 200 }, () => ({ op: 'acquire' }))
    const retry = { scope: 's', fingerprint: 'f' }
    let pieces = 0
    node.onAnswer(verb => {
      if (verb === 'batch' && ++pieces === 2) throw new Error('the answer is lost')
    })
    await t.rejects(Promise.resolve(engine.batch(POOL, operations, { retry })))
    t.match(await engine.pool(POOL), { counts: { leased: 128 } })
    node.onAnswer(() => undefined)
    const outcomes = await granted(engine.batch(POOL, operations, { retry }))
    t.equal(new Set(outcomes.map(({ value }) => (value as { keyId: string }).keyId)).size, 200)
    t.match(await engine.pool(POOL), { counts: { leased: 200 } })
  })

  await t.test('fences go on growing where a failover has lost the last writes', async t => {
    const server = await startRedis(t)
    const { client } = server
    const { engine } = await createRedis(t, server.url, { serverTime: true })
    const key = `keypool:{${POOL}}`
    await generate(engine, 100)
    await granted(engine.acquire(POOL, {}))
    const replicated = await client.dumpBuffer(key)
    let largest = 0
    for (let i = 0; i < 50; i++) largest = (await granted(engine.acquire(POOL, {}))).fence

    // A failover takes longer than this.
    const seconds = async (): Promise<number> => Number((await client.time())[0])
    const before = await seconds()
    await until(async () => (await seconds()) > before)
    await client.restore(key, 0, replicated, 'REPLACE')
    t.equal(await client.hget(key, 'fence').then(fence => Number(fence) < largest), true)
    const other = await createRedis(t, server.url, { serverTime: true })
    const { fence } = await granted(other.engine.acquire(POOL, {}))
    t.ok(fence > largest, 'for a node that knows nothing: time has passed')

    await client.restore(key, 0, replicated, 'REPLACE')
    await client.hset(key, 'ahead', -3_600_000, 'last', 0)
    t.ok((await granted(other.engine.acquire(POOL, {}))).fence > fence, 'for one that has seen it, by any clock')
  })

  await t.test('a node whose connection is lost while it starts has all that it needs when that is back', async t => {
    const server = await startRedis(t)
    const prepare = async (engine: Engine): Promise<void> => {
      const made = await engine.putPool('needed', {})
      if ('refusal' in made) throw new Error(made.refusal)
    }
    for (const losing of ['view', 'register', 'putPool', 'info']) {
      await server.client.flushall()
      const { engine, clock } = await createRedis(t, server.url, { losing, prepare })
      for (const name of [POOL, 'needed']) {
        await until(async () => {
          clock.advance(1000)
          return 'counts' in (await engine.pool(name))
        })
      }
    }
    const refused = createRedis(t, server.url, { prepare: async () => Promise.reject(new Error('it never can')) })
    await t.rejects(refused, { message: 'it never can' })
  })

  await t.test('settings of the server that may lose keys are told at the start', async t => {
    const server = await startRedis(t, undefined, ['--appendonly', 'yes'])
    t.strictSame((await createRedis(t, server.url)).told, ['the Redis server answers'])
    await server.client.config('SET', 'maxmemory-policy', 'allkeys-lru')
    t.match((await createRedis(t, server.url)).told, [String, /^the Redis server may drop pools/])
  })

  await t.test('time never goes back, whatever becomes of the server’s clock', async t => {
    const server = await startRedis(t)
    const { engine, clock } = await createRedis(t, server.url)
    await generate(engine, 2)
    const lease = await granted(engine.acquire(POOL, {}))
    clock.stall(30_000)
    t.match(await engine.lease(POOL, lease.id), { expiresInMs: 30_000 })
    clock.setBack(3_600_000)
    t.match(await engine.lease(POOL, lease.id), { expiresInMs: 30_000 })
    clock.stall(10_000)
    t.match(await engine.lease(POOL, lease.id), { expiresInMs: 20_000 }, 'and goes on from there')
    t.ok((await granted(engine.acquire(POOL, {}))).fence > lease.fence)
  })

  await t.test('a pool whose making or deletion broke off leaves the list a minute later', async t => {
    const server = await startRedis(t)
    const { engine, clock, settled } = await createRedis(t, server.url)
    await server.client.hset('keypool:pools', 'ghost', 'nobody.1')
    t.match(await engine.pools(), [{ name: 'default' }])
    for (let passed = 0; passed < 75; passed++) {
      clock.advance(1000)
      await settled()
      if (passed === 50) t.equal(await server.client.hexists('keypool:pools', 'ghost'), 1)
    }
    t.equal(await server.client.hexists('keypool:pools', 'ghost'), 0)
    t.equal(await server.client.hexists('keypool:pools', 'default'), 1)
  })
  await t.test('an error of the server tells no key', async t => {
    const server = await startRedis(t)
    const { engine } = await createRedis(t, server.url)
    await server.client.set(`keypool:{${POOL}}:keys`, 'no hash')
    const error = await Promise.resolve(engine.importKeys(POOL, [{ key: 'a-secret' }])).catch((fault: unknown) => fault)
    t.match(error, { message: /^the Redis server answers: WRONGTYPE / })
    t.notMatch(inspect(error, { depth: 10 }), /a-secret/)
  })

  await t.test('a holder that is no text is written as any other call writes it', async t => {
    const server = await startRedis(t)
    const { engine } = await createRedis(t, server.url)
    await generate(engine, 2)
    t.match(await engine.acquire(POOL, { holder: 'a\ud800' }), { holder: 'a\ufffd' })
    t.match(await engine.batch(POOL, [{ op: 'acquire', holder: 'a\ud800' }]), [{ value: { holder: 'a\ufffd' } }])
  })

  await t.test('a server that is emptied under way has its first pool again a second later', async t => {
    const server = await startRedis(t)
    const { engine, clock, settled } = await createRedis(t, server.url)
    for (const lose of [() => server.client.flushall(), () => server.client.del(`keypool:{${POOL}}`)]) {
      await lose()
      t.equal(await refusalOf(engine.pool(POOL)), 'unknown-pool')
      for (let passed = 0; passed < 6000; passed += 1000) {
        clock.advance(1000)
        await settled()
      }
      t.match(await engine.pool(POOL), { counts: { total: 0 } })
    }
  })

  await t.test(
    'fences of a deleted pool are remembered until the clock has passed them, however far it was set back',
    async t => {
      const server = await startRedis(t)
      const { engine, clock } = await createRedis(t, server.url)
      await granted(engine.putPool('p', {}))
      await generate(engine, 1, 'p')
      await granted(engine.acquire('p', {}))
      clock.setBack(7 * 86_400_000)
      await granted(engine.deletePool('p'))
      t.ok((await server.client.pttl('keypool:{p}:fence')) > 7 * 86_400_000)
    }
  )

  await t.test('pools are swept side by side', async t => {
    const server = await startRedis(t)
    const { engine, clock, settled, peak } = await createRedis(t, server.url)
    for (let i = 0; i < 20; i++) await granted(engine.putPool(`p${i}`, {}))
    const before = peak()
    clock.advance(1000)
    await settled()
    t.ok(peak() >= 20 && before < 20, `${peak()} calls at once`)
  })
}
