// Run by `npm run test:fuzz`: what the fuzzing must find.

import t, { type Test } from 'tap'
import type { Role } from '../../src/access/bearer.ts'
import { type Engine, isRefusal, type LeaseView } from '../../src/engine.ts'
import { problem, PROBLEM_TYPE } from '../../src/http/problems.ts'
import { type Need, NEEDS, OPERATIONS } from '../../src/http/roles.ts'
import { BEARERS } from './callers.ts'
import { Coverage } from './coverage.ts'
import { ApiDocument } from './document.ts'
import { fuzz } from './fuzz.ts'
import { openTarget, type Sabotage } from './target.ts'

const STEPS = 120
/** At most: the first run that finds the fault ends it. */
const RUNS = 12

type Verbs = { [V in keyof Engine]?: (engine: Engine) => Engine[V] }

/** The same engine, with some verbs that are not as they should be. */
function broken(verbs: Verbs): (engine: Engine) => Engine {
  return engine =>
    new Proxy(engine, {
      get: (target, name) =>
        verbs[name as keyof Engine]?.(target) ??
        (Reflect.get(target, name) as (...args: unknown[]) => unknown).bind(target)
    })
}

/** Rewrites what one route answers with success. */
function rewriting(method: string, url: string, change: (text: string) => string): NonNullable<Sabotage['send']> {
  return (request, { statusCode }, body) =>
    request.method === method && request.routeOptions.url === url && statusCode < 300 ? change(body) : body
}

const KEY_ROUTE = '/v1/pools/:pool/keys/:id'
/** Of the engines that are broken below. */
const secretsById = new Map<string, string>()
const leases = new Map<string, LeaseView>()

/** Faults that are put in by hand, each with what must be said of it. */
const FAULTS: Record<string, { sabotage: Sabotage; found: RegExp }> = {
  'a fault of the engine': {
    sabotage: {
      engine: broken({
        keepAlive: () => () => {
          throw new Error('broken')
        }
      })
    },
    found: /500 is a fault of ours/
  },
  'a body that is not what its schema says': {
    sabotage: { send: rewriting('GET', '/v1/pools/:pool', text => text.replace('"free":', '"free":-')) },
    found: /getPool 200: .*free/
  },
  'a member that is missing': {
    sabotage: { send: rewriting('GET', KEY_ROUTE, text => text.replace('"createdAt"', '"madeAt"')) },
    found: /getKey 200: .*createdAt/
  },
  'a status that is not documented': {
    sabotage: {
      send: ({ routeOptions }, reply, body) => {
        if (routeOptions.url === KEY_ROUTE && reply.statusCode === 404) reply.code(410)
        return body
      }
    },
    found: /Key does not document 410/
  },
  'a media type that is not documented': {
    sabotage: {
      send: ({ routeOptions }, reply, body) => {
        if (routeOptions.url === '/livez') reply.type('text/html')
        return body
      }
    },
    found: /livez 200 has the type text\/html/
  },
  'a route that shows keys': {
    sabotage: {
      engine: broken({
        generate: engine => async (pool, request, retry) => {
          const keys = await engine.generate(pool, request, retry)
          if (!isRefusal(keys)) for (const { id, key } of keys) secretsById.set(id, String(key))
          return keys
        }
      }),
      send: rewriting('GET', '/v1/pools/:pool/keys', text =>
        text.replace(/"id":"([\w-]{22})",/, (all, id: string) => `${all}"key":"${secretsById.get(id) ?? ''}",`)
      )
    },
    found: /a key is shown/
  },
  'an error that repeats what it was given': {
    sabotage: {
      send: ({ url }, { statusCode }, body) =>
        statusCode === 404 ? body.replace('"detail":"', `"detail":${JSON.stringify(url).slice(0, -1)} `) : body
    },
    found: /an error shows what it was given/
  },
  'a log with the address': {
    sabotage: { request: ({ log, url }) => log.trace({ url }, 'request') },
    found: /the log shows a secret/
  },
  'an answer without its request id': {
    sabotage: {
      send: (_request, reply, body) => {
        reply.removeHeader('x-request-id')
        return body
      }
    },
    found: /no X-Request-Id/
  },
  'an answer that may be cached': {
    sabotage: {
      send: ({ routeOptions }, reply, body) => {
        if (routeOptions.url === '/api/get_token') reply.header('cache-control', 'public')
        return body
      }
    },
    found: /may be cached/
  },
  'a problem of a code that there is not': {
    sabotage: { send: (_request, _reply, body) => body.replace('"code":"lease-lost"', '"code":"lost"') },
    found: /data\/code must be equal to one of the allowed values/
  },
  'a lease that lives on beside its successor': {
    sabotage: {
      engine: broken({
        acquire: engine => async (pool, request, context) => {
          const lease = await engine.acquire(pool, request, context)
          if (isRefusal(lease)) return lease
          const { key: _, ...shown } = lease
          leases.set(lease.id, shown)
          return lease
        },
        lease: engine => async (pool, leaseId) => leases.get(leaseId) ?? engine.lease(pool, leaseId)
      })
    },
    found: /two leases name one key/
  },
  'a fence that is granted twice': {
    sabotage: {
      engine: broken({
        acquire: engine => async (pool, request, context) => {
          const lease = await engine.acquire(pool, request, context)
          return isRefusal(lease) ? lease : { ...lease, fence: 1 }
        }
      })
    },
    found: /the fence 1 was granted twice/
  },
  'a GET that leases': {
    sabotage: {
      engine: broken({
        key: engine => async (pool, id, reveal) => {
          await engine.acquire(pool, {})
          return engine.key(pool, id, reveal)
        }
      })
    },
    found: /asks for acquire, though it only reads/
  },
  'counts that do not add up': {
    sabotage: {
      engine: broken({
        pools: engine => async () => {
          const pools = await engine.pools()
          if (isRefusal(pools)) return pools
          return pools.map(pool => ({ ...pool, counts: { ...pool.counts, total: pool.counts.total + 1 } }))
        }
      })
    },
    found: /does not add up/
  },
  'a list that forgets a key': {
    sabotage: {
      engine: broken({
        list: engine => async (pool, request) => {
          const page = await engine.list(pool, request)
          return isRefusal(page) ? page : { ...page, keys: page.keys.slice(1) }
        }
      })
    },
    found: /are listed/
  },
  'a retired key that comes back': {
    sabotage: {
      engine: broken({
        importKeys: engine => async (pool, keys, retry) => {
          const outcome = await engine.importKeys(pool, keys, retry)
          if (!isRefusal(outcome) || outcome.refusal !== 'key-retired') return outcome
          return engine.importKeys(
            pool,
            keys.map(({ key }) => ({ key: `${key}-again` }))
          )
        }
      })
    },
    found: /a retired key came back/
  },
  'time left that is negative': {
    sabotage: {
      send: rewriting('POST', '/v1/pools/:pool/leases', text => text.replace('"expiresInMs":', '"expiresInMs":-'))
    },
    found: /expiresInMs/
  }
}

t.test('each fault that is put in by hand is found', async t => {
  const document = ApiDocument.read()
  const target = await openTarget()
  t.teardown(() => target.close())
  for (const [fault, { sabotage, found }] of Object.entries(FAULTS)) {
    target.sabotage = sabotage
    const { failure = 'nothing' } = await fuzz(document, target, { seed: 7, runs: RUNS, steps: STEPS })
    t.match(failure.slice(0, 3000), found, fault)
  }
})

/** Gives a call another role than the document says, until the test ends. */
function needing(t: Test, operation: string, role: Need['role']): void {
  const need = NEEDS[operation] as Need
  const { role: right } = need
  need.role = role
  t.teardown(() => (need.role = right))
}

/** Faults of who may do what, each with what must be said of it. */
const LOOPHOLES: Record<string, { open: (t: Test) => Sabotage | undefined; found: RegExp; runs?: number }> = {
  'a call of an admin that a user may make': {
    open: t => void needing(t, 'unblockKey', 'user'),
    found: /limited gets \d+ from unblockKey, which needs admin/
  },
  'a call of a user that a viewer may make': {
    open: t => void needing(t, 'keepKeyAlive', 'viewer'),
    found: /viewer gets \d+ from keepKeyAlive, which needs user/
  },
  'a call that needs no token': {
    open: t => void needing(t, 'putPool', 'open'),
    found: /(nobody|unknown|viewer|limited) gets \d+ from putPool, which needs admin/
  },
  'a call of the dialects that needs no token': {
    open: t => void needing(t, 'get_token', 'open'),
    found: /gets 200 from get_token, which needs admin/
  },
  'a call that needs more than it says': {
    open: t => void needing(t, 'listKeys', 'admin'),
    found: /(viewer|limited) gets 403 from listKeys, which needs viewer/
  },
  'an operation of a batch that a user may have': {
    open: t => {
      // Nobody else writes to it.
      const operations = OPERATIONS as Record<string, Role>
      operations['delete'] = 'user'
      t.teardown(() => (operations['delete'] = 'admin'))
      return undefined
    },
    found: /limited is let delete in a batch/
  },
  'a key that is revealed to whoever asks': {
    open: () => ({
      engine: broken({ key: engine => (pool, id) => engine.key(pool, id, true) })
    }),
    found: /a key is shown/
  },
  'the pools of others': {
    open: () => ({ bearer: bearer => ({ ...bearer, pools: '*' }) }),
    found: /limited (gets|is shown)/
  },
  'the leases of others': {
    open: () => ({
      engine: broken({
        release:
          engine =>
          (pool, lease, { owner: _, ...asked } = {}) =>
            engine.release(pool, lease, asked),
        renew:
          engine =>
          (pool, lease, { owner: _, ...asked } = {}) =>
            engine.renew(pool, lease, asked),
        lease: engine => (pool, lease) => engine.lease(pool, lease),
        batch:
          engine =>
          (pool, operations, { owner: _, ...context } = {}) =>
            engine.batch(pool, operations, context)
      })
    }),
    // Those that still run are seldom met.
    runs: 10 * RUNS,
    found: /limited is let have the lease \S+ of admin/
  },
  'a call that is refused after it was made': {
    open: t => {
      needing(t, 'keepKeyAlive', 'viewer')
      return {
        send: ({ id, caller, routeOptions }, reply, body) => {
          if (caller?.role !== 'viewer' || !routeOptions.url?.endsWith('/keep-alive')) return body
          reply.code(403).type(PROBLEM_TYPE)
          return JSON.stringify(problem('forbidden', id, 'Too late.'))
        }
      }
    },
    found: /was refused after/
  },
  'a log with the headers': {
    open: () => ({ request: ({ log, headers }) => log.trace({ headers }, 'request') }),
    found: /the log shows a secret/
  }
}

t.test('each loophole in who may do what is found', async t => {
  const document = ApiDocument.read()
  const target = await openTarget(BEARERS)
  t.teardown(() => target.close())
  for (const [loophole, { open, found, runs = RUNS }] of Object.entries(LOOPHOLES)) {
    await t.test(loophole, async t => {
      target.sabotage = open(t) ?? {}
      const { failure = 'nothing' } = await fuzz(document, target, { seed: 7, runs, steps: STEPS })
      t.match(failure.slice(0, 3000), found)
    })
  }
})

t.test('a route that is never met with success is named', async t => {
  const document = ApiDocument.read()
  const coverage = new Coverage(document)
  for (const { id } of document.operations) coverage.note(id, id === 'batch' ? 400 : 200)
  t.strictSame(coverage.unmet, ['batch'])
  t.strictSame(coverage.without(400).includes('batch'), false)
  t.match(String(coverage), /^batch +400: 1$/m)
  t.equal(coverage.requests, document.operations.length)
})
