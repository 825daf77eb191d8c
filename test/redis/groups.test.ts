import t, { type Test } from 'tap'
import { isRefusal } from '../../src/engine.ts'
import { createRedis } from '../support/create-redis.ts'
import { generate, granted, refusalOf, until } from '../support/create-engine.ts'
import { startCluster, startSentinel } from '../support/redis-groups.ts'
import { isSkipped } from '../support/redis-server.ts'

if (!isSkipped(t)) await groups(t)

async function groups(t: Test): Promise<void> {
  await t.test('pools spread over the masters of a cluster, and each is served whole', async t => {
    const { servers, url } = await startCluster(t)
    const { engine } = await createRedis(t, url)
    const other = await createRedis(t, url)
    const names = Array.from({ length: 12 }, (_, i) => `pool-${i}`)
    for (const name of names) {
      await granted(engine.putPool(name, {}))
      await generate(engine, 2, name)
      const lease = await granted(other.engine.acquire(name, {}))
      t.equal(await engine.release(name, lease.id), 'released')
      const waiting = engine.acquire(name, { waitMs: 60_000 })
      await granted(waiting)
    }
    t.strictSame(
      (await granted(engine.pools())).map(({ name, counts }) => [name, counts.total]).sort(),
      [['default', 0], ...names.map(name => [name, 2])].sort()
    )
    const kept = await Promise.all(servers.map(({ client }) => client.dbsize()))
    t.ok(
      kept.every(count => count > 0),
      `keys of the masters: ${kept}`
    )
    t.equal(await engine.deletePool('pool-0'), 'deleted')
    t.equal(await refusalOf(other.engine.pool('pool-0')), 'unknown-pool')
  })

  await t.test('who waits is woken across the nodes of a cluster', async t => {
    const { url } = await startCluster(t)
    const [a, b] = [await createRedis(t, url), await createRedis(t, url)]
    for (const name of ['one', 'two', 'three']) {
      await granted(a.engine.putPool(name, {}))
      const waiting = a.engine.acquire(name, { holder: 'waits', waitMs: 60_000 })
      await until(async () => (await granted(b.engine.pool(name))).counts.waiting === 1)
      await generate(b.engine, 1, name)
      t.match(await waiting, { holder: 'waits' })
    }
  })

  await t.test('what the replica has received is there after a failover, and fences grow on', async t => {
    const { master, replica, switched, url } = await startSentinel(t)
    const { engine } = await createRedis(t, url, { serverTime: true })
    await generate(engine, 3)
    const lease = await granted(engine.acquire('default', {}))
    await until(async () => {
      const [, left] = /master_repl_offset:(\d+)/.exec(await master.client.info('replication')) ?? []
      const [, right] = /slave_repl_offset:(\d+)/.exec(await replica.client.info('replication')) ?? []
      return left === right
    })
    await master.stop()
    t.equal(await refusalOf(engine.acquire('default', {})), 'storage-unavailable')
    // Without looking: a Sentinel that gets no time does not act for half a minute.
    await switched
    await until(async () => (await refusalOf(engine.pool('default'))) === 'granted')
    t.match(await engine.pool('default'), { counts: { total: 3, leased: 1 } })
    // The client may hear of the failover again, and connect anew.
    let next = await engine.acquire('default', {})
    await until(async () => !isRefusal(next) || !isRefusal((next = await engine.acquire('default', {}))))
    if (isRefusal(next)) throw new Error('refused')
    t.ok(next.fence > lease.fence)
    t.not(next.keyId, lease.keyId)
    await until(async () => (await engine.release('default', lease.id)) === 'released')
  })
}
