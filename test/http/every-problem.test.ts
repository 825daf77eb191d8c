import t, { type Test } from 'tap'
import type { AppOptions } from '../../src/app.ts'
import { MAX_POOLS, MAX_WAITING } from '../../src/engine.ts'
import { type Answer, createService, exchange, POOL, type ServiceOfTest } from '../support/create-service.ts'
import { KEEP_ALIVE_MS } from '../support/pool.ts'
import { type Code, refused } from '../support/problems.ts'

interface Occasion {
  options?: Partial<AppOptions>
  /** Brings about the problem. */
  provoke: (service: ServiceOfTest, t: Test) => Promise<Answer | undefined>
  /** What the problem has besides the members of all. */
  members?: object
}

const importOf = (key: string): object => ({ keys: [{ key }] })
const bearersOf = (role?: 'viewer'): NonNullable<AppOptions['bearers']> => ({
  bearerOf: () => role && { name: role, role, pools: '*' }
})

/** The answer to what is sent over a connection. */
const sent =
  (...lines: string[]): Occasion['provoke'] =>
  async ({ listen }, t) =>
    (await exchange(t, await listen(), lines.join('\r\n')))[0]

/** An occasion on which each problem of the contract comes over the wire. */
const OCCASIONS: Record<Code, Occasion> = {
  'invalid-request': { provoke: ({ call }) => call('POST', 'keys', { count: 0 }), members: { errors: Array } },
  unauthorized: { options: { bearers: bearersOf() }, provoke: ({ call }) => call('GET', POOL) },
  forbidden: {
    options: { bearers: bearersOf('viewer') },
    provoke: ({ call }) => call('POST', 'leases', undefined, { authorization: 'Bearer t' })
  },
  'not-found': { provoke: ({ call }) => call('GET', '/v1/nowhere') },
  'unknown-pool': { provoke: ({ call }) => call('GET', '/v1/pools/nowhere') },
  'unknown-key': { provoke: ({ call }) => call('GET', 'keys/nowhere') },
  'no-free-key': {
    provoke: ({ call }) => call('POST', 'leases'),
    members: { reason: 'pool-empty', counts: { total: 0 } }
  },
  'method-not-allowed': {
    provoke: async ({ call }, t) => {
      const answer = await call('PATCH', '/v1/pools')
      t.match(answer.headers['allow'], 'GET')
      return answer
    }
  },
  'request-timeout': { options: { requestTimeoutMs: 100 }, provoke: sent('GET /livez HTTP/1.1', 'Host: x', '') },
  'key-not-leased': {
    provoke: async ({ call, generate }) => call('DELETE', `keys/${(await generate())[0]?.id}/lease`)
  },
  'key-exists': {
    provoke: async ({ call }) => {
      await call('POST', 'keys', importOf('a'))
      return call('POST', 'keys', importOf('a'))
    },
    members: { indexes: [0] }
  },
  'key-retired': {
    provoke: async ({ call, clock }) => {
      await call('POST', 'keys', importOf('a'))
      clock.advance(KEEP_ALIVE_MS)
      return call('POST', 'keys', importOf('a'))
    },
    members: { indexes: [0] }
  },
  'keyspace-exhausted': {
    provoke: async ({ call }) => {
      await call('PUT', POOL, { alphabet: 'ab', length: 1 })
      return call('POST', 'keys', { count: 3 })
    },
    members: { remaining: 2 }
  },
  'pool-full': {
    provoke: async ({ call }) => {
      await call('PUT', POOL, { maxKeys: 1 })
      return call('POST', 'keys', { count: 2 })
    }
  },
  'too-many-pools': {
    provoke: ({ call, engine }) => {
      for (let pools = 1; pools < MAX_POOLS; pools++) void engine.putPool(`pool-${pools}`, {})
      return call('PUT', '/v1/pools/one-more')
    }
  },
  'policy-locked': {
    provoke: async ({ call, generate }) => {
      await generate()
      return call('PUT', POOL, { length: 21 })
    }
  },
  'pool-protected': { provoke: ({ call }) => call('DELETE', POOL) },
  'max-hold-reached': {
    provoke: async ({ call, generate, acquire }) => {
      await generate()
      return call('PUT', `leases/${(await acquire()).id}/renewal`)
    }
  },
  'lease-lost': { provoke: ({ call }) => call('GET', 'leases/nowhere') },
  'payload-too-large': { provoke: ({ call }) => call('POST', 'keys', ' '.repeat(4 * 2 ** 20 + 1)) },
  'uri-too-long': { provoke: ({ call }) => call('GET', '/v1/pools?x='.padEnd(8193, 'x')) },
  'unsupported-media-type': {
    provoke: ({ call }) => call('POST', 'keys', 'count=1', { 'content-type': 'application/x-www-form-urlencoded' })
  },
  'expectation-failed': { provoke: sent('GET /livez HTTP/1.1', 'Host: x', 'Expect: a-miracle', '', '') },
  'idempotency-key-reused': {
    provoke: async ({ call }) => {
      await call('POST', 'keys', { count: 1 }, { 'idempotency-key': 'k' })
      return call('POST', 'keys', { count: 2 }, { 'idempotency-key': 'k' })
    }
  },
  'too-many-requests': {
    options: { rateLimit: 1 },
    provoke: async ({ call }) => {
      // However slow the machine is, at some time two come within a second.
      for (;;) {
        const answer = await call('GET', POOL)
        if (answer.status !== 200) return answer
      }
    }
  },
  'headers-too-large': { provoke: sent('GET /livez HTTP/1.1', 'Host: x', `X: ${'x'.repeat(17_000)}`, '', '') },
  internal: {
    provoke: ({ call, engine }) => {
      engine.pool = () => {
        throw new Error('broken')
      }
      return call('GET', POOL)
    }
  },
  overloaded: {
    provoke: ({ call, engine }) => {
      for (let waiting = 0; waiting < MAX_WAITING; waiting++) void engine.acquire('default', { waitMs: 60_000 })
      return call('POST', 'leases', { waitMs: 1 })
    }
  },
  'storage-unavailable': {
    provoke: ({ call, engine }) => {
      // As an engine with a full disk answers.
      engine.generate = () => ({ refusal: 'storage-unavailable' }) as never
      return call('POST', 'keys')
    }
  },
  draining: {
    provoke: ({ call, service }) => {
      service.drain()
      return call('POST', 'keys')
    }
  },
  'not-ready': {
    provoke: async ({ call, clock, generate }) => {
      await generate()
      clock.stall(KEEP_ALIVE_MS + 2000)
      return call('GET', '/readyz')
    },
    members: { reasons: [/behind/] }
  }
}

for (const [code, { options = {}, provoke, members = {} }] of Object.entries(OCCASIONS)) {
  t.test(`${code} comes over the wire as the contract says`, async t => {
    const service = await createService(t, options)
    const answer = await provoke(service, t)
    if (answer === undefined) throw new Error('there was no answer')
    refused(t, answer, code as Code, members)
  })
}
