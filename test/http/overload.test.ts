import t from 'tap'
import { until } from '../support/create-engine.ts'
import { createService } from '../support/create-service.ts'
import { refused } from '../support/problems.ts'

/** Everybody's token is its name, but for one that is unknown. */
const bearers = {
  bearerOf: (token: string) =>
    token === 'unknown'
      ? undefined
      : ({ name: token, role: token === 'viewer' ? 'viewer' : 'admin', pools: '*' } as const)
}

/** Keeps the event loop from turning. */
function block(ms: number): void {
  const end = performance.now() + ms
  while (performance.now() < end);
}

t.test('beyond the rate each caller is refused, until the second is over', async t => {
  const { app, call } = await createService(t, { rateLimit: 2 })
  const refusedOf = async (method: string, path: string, body?: string) => {
    // However slow the machine is, at some time three come within a second.
    for (;;) {
      const answer = await call(method, path, body)
      if (answer.status === 429) return answer
    }
  }
  const answer = await refusedOf('GET', '/v1/pools')
  refused(t, answer, 'too-many-requests')
  t.equal(answer.headers['retry-after'], '1')
  t.notOk(Object.keys(answer.headers).some(name => name.startsWith('x-ratelimit')))
  refused(t, await refusedOf('POST', 'keys', 'no json'), 'too-many-requests')
  t.match(await call('GET', '/livez'), { status: 200 })
  t.match(await call('GET', '/readyz'), { status: 200 })
  refused(t, await call('GET', '/nowhere'), 'not-found')
  const other = await app.inject({ url: '/v1/pools', remoteAddress: '192.0.2.1' })
  t.equal(other.statusCode, 200, 'another address')
  await until(async () => (await call('GET', '/v1/pools')).status === 200)
})

t.test('the rate is of each token, where there are any', async t => {
  const { call } = await createService(t, { rateLimit: 1, bearers })
  const as = (token: string) => call('GET', '/v1/pools', undefined, { authorization: `Bearer ${token}` })
  await until(async () => (await as('first')).status === 429)
  t.equal((await as('second')).status, 200)
  await until(async () => (await call('GET', '/problems/internal')).status === 429)
})

t.test('what is refused counts too: of a token, and of the address of whoever has none', async t => {
  const { app, call } = await createService(t, { rateLimit: 1, bearers })
  const as = (token: string, body?: string) =>
    call('POST', 'keys', body, { authorization: `Bearer ${token}`, 'content-type': 'text/plain' })
  const statuses = new Set<number>()
  const beyond = async (ask: () => ReturnType<typeof as>) => {
    for (;;) {
      const answer = await ask()
      statuses.add(answer.status)
      if (answer.status === 429) return answer
    }
  }
  const answer = await beyond(() => as('unknown'))
  refused(t, answer, 'too-many-requests')
  t.equal(answer.headers['retry-after'], '1')
  t.equal(answer.headers['www-authenticate'], undefined)
  refused(t, await beyond(() => call('POST', 'keys')), 'too-many-requests')
  refused(t, await beyond(() => as('viewer')), 'too-many-requests')
  t.strictSame([...statuses].sort(), [401, 403, 429])
  const elsewhere = await app.inject({ url: '/v1/pools', remoteAddress: '192.0.2.1' })
  t.equal(elsewhere.statusCode, 401, 'another address')
})

t.test('strangers use nothing up of what a token has, though they come from one address', async t => {
  const { call } = await createService(t, { rateLimit: 1, bearers })
  const asNew = (i: number) => call('GET', '/v1/pools', undefined, { authorization: `Bearer caller-${i}` })
  let refusals = 0
  for (let i = 0; refusals < 20; i++) {
    if ((await call('GET', '/v1/pools')).status === 429) refusals++
    t.equal((await asNew(i)).status, 200)
  }
})

t.test('of IPv6 a network is one caller', async t => {
  const { app } = await createService(t, { rateLimit: 1, bearers })
  const from = async (remoteAddress: string) => (await app.inject({ url: '/v1/pools', remoteAddress })).statusCode
  const addresses = Array.from({ length: 1000 }, (_, i) => `2001:db8:0:1::${i.toString(16)}`)
  const statuses: number[] = []
  for (const address of addresses) statuses.push(await from(address))
  t.ok(statuses.includes(429), 'a thousand do not take a thousand seconds')
  t.equal(await from('2001:db8:0:2::1'), 401)
})

t.test('without a rate nobody is refused', async t => {
  const { call } = await createService(t)
  for (let i = 0; i < 200; i++) t.equal((await call('GET', '/v1/pools')).status, 200)
})

t.test('far behind, the server refuses all but its supervisors', async t => {
  const { call } = await createService(t, { pressure: { meanDelayMs: 5, sampleMs: 10 } })
  const underPressure = async (method: string, path: string, body?: string) => {
    for (;;) {
      block(50)
      await new Promise(resolve => setImmediate(resolve))
      const answer = await call(method, path, body)
      if (answer.status === 503) return answer
    }
  }
  refused(t, await underPressure('GET', '/v1/pools'), 'overloaded')
  refused(t, await underPressure('POST', 'keys', 'no json'), 'overloaded')
  t.match(await call('GET', '/livez'), { status: 200 })
  t.match(await call('GET', '/readyz'), { status: 200 })
  refused(t, await call('GET', '/nowhere'), 'not-found')
})
