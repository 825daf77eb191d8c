import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { until } from './create-engine.ts'
import { freePort } from './free-port.ts'
import { SERVERS, startRedis } from './redis-server.ts'

const SLOTS = 16_384

/** A cluster of masters, each with an equal share of the slots. */
export async function startCluster(t: Pick<Test, 'teardown'>, masters = 3) {
  const servers = await Promise.all(
    Array.from({ length: masters }, async () => {
      // By default the port of the bus is 10,000 further, which there may not be.
      const bus = String(await freePort())
      const timeout = ['--cluster-node-timeout', '2000']
      const args = ['--cluster-enabled', 'yes', '--cluster-port', bus, ...timeout]
      return { ...(await startRedis(t, SERVERS[0], args)), bus }
    })
  )
  const [first] = servers as [(typeof servers)[0]]
  for (const [i, { client }] of servers.entries()) {
    const [from, to] = [i, i + 1].map(share => Math.floor((share * SLOTS) / masters)) as [number, number]
    await client.cluster('ADDSLOTSRANGE', from, to - 1)
    await client.call('CLUSTER', 'SET-CONFIG-EPOCH', String(i + 1))
  }
  for (const { port, bus } of servers.slice(1))
    await first.client.call('CLUSTER', 'MEET', '127.0.0.1', String(port), bus)
  for (const { client } of servers) {
    await until(async () => {
      const info = await client.cluster('INFO')
      return info.includes('cluster_state:ok') && info.includes(`cluster_known_nodes:${masters}`)
    })
  }
  return { servers, url: `redis+cluster://${servers.map(({ port }) => `127.0.0.1:${port}`).join(',')}` }
}

/** A master, its replica, and a Sentinel that makes the replica the master half a second after the master has gone. */
export async function startSentinel(t: Pick<Test, 'teardown'>) {
  const master = await startRedis(t)
  const replica = await startRedis(t, SERVERS[0], ['--replicaof', '127.0.0.1', String(master.port)])
  await until(async () => (await replica.client.info('replication')).includes('master_link_status:up'))
  const name = 'mine'
  const sentinel = await startRedis(t, SERVERS[0], ['--sentinel'], directory => {
    const file = join(directory, 'sentinel.conf')
    writeFileSync(
      file,
      `sentinel monitor ${name} 127.0.0.1 ${master.port} 1\n` +
        `sentinel down-after-milliseconds ${name} 500\nsentinel failover-timeout ${name} 5000\n`
    )
    return [file]
  })
  await until(async () => {
    const [state] = (await sentinel.client.call('SENTINEL', 'REPLICAS', name)) as string[][]
    return state !== undefined
  })
  const ear = sentinel.client.duplicate()
  t.teardown(() => ear.disconnect())
  await ear.subscribe('+switch-master')
  /** Resolves when the replica has become the master. */
  const switched = once(ear, 'message')
  return { master, replica, switched, url: `redis+sentinel://127.0.0.1:${sentinel.port}/${name}` }
}
