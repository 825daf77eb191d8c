import t from 'tap'
import { buildApp } from '../src/app.ts'
import { MemoryEngine } from '../src/memory/engine.ts'
import { until } from './support/create-engine.ts'
import { createService } from './support/create-service.ts'
import { ManualClock } from './support/manual-clock.ts'
import { refused } from './support/problems.ts'

t.test('both dialects are on by default', async t => {
  const engine = new MemoryEngine({ clock: new ManualClock(), onFault: error => t.error(error) })
  t.teardown(() => engine.close())
  const { app, prepare } = await buildApp({ engine })
  t.teardown(() => app.close())
  await prepare()
  t.equal((await app.inject({ method: 'POST', url: '/api/v1/random_api_key/' })).statusCode, 201)
  t.equal((await app.inject({ method: 'POST', url: '/api/get_token' })).statusCode, 200)
  t.match((await app.inject('/v1/pools')).json(), { pools: [{ name: 'default' }, { name: 'tokens' }] })
})

t.test('a dialect that is off serves nothing and makes no pool', async t => {
  const { call } = await createService(t, { dialects: [] })
  refused(t, await call('POST', '/api/v1/random_api_key/'), 'not-found')
  refused(t, await call('POST', '/api/get_token'), 'not-found')
  refused(t, await call('GET', '/v1/pools/tokens'), 'unknown-pool')
})

t.test('tokens are made of what the configuration says', async t => {
  const { call } = await createService(t, { dialects: ['tokenapi'], tokens: { alphabet: 'xy', length: 3 } })
  t.match((await call('GET', '/v1/pools/tokens')).body, {
    policy: { alphabet: 'xy', length: 3 },
    keyspace: { size: 8 }
  })
})

t.test('stopping is announced, then all new requests are refused', async t => {
  const { call, service, counts } = await createService(t)
  const waiting = call('POST', 'leases', { waitMs: 60_000 })
  await until(async () => (await counts()).waiting === 1)
  service.announceStop()
  t.equal((await call('GET', '/readyz')).status, 503)
  t.match(await counts(), { waiting: 1 })
  service.drain()
  refused(t, await waiting, 'draining')
  refused(t, await call('POST', 'leases'), 'draining')
  refused(t, await call('GET', '/readyz'), 'draining', { reasons: ['draining'] })
  t.equal((await call('GET', '/livez')).status, 200)
})

t.test('draining is safe to repeat', async t => {
  const { call, service } = await createService(t)
  service.drain()
  service.drain()
  refused(t, await call('GET', '/readyz'), 'draining', { reasons: ['draining'] })
})
