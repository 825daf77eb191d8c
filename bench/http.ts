import autocannon from 'autocannon'
import { interleaved, pairs, ROUNDS, type Run, SECONDS, type Server, start } from './load.ts'
import { check, fixed, heading, summarize, table, thousands } from './measure.ts'

const CONNECTIONS = 50
const BATCH = 100

/** The same for BATCH keys per call: one batch acquires, the next releases. */
async function batches({ url }: Server): Promise<Run> {
  const headers = { 'content-type': 'application/json' }
  const path = '/v1/pools/default/batch'
  const acquire = JSON.stringify({ operations: Array.from({ length: BATCH }, () => ({ op: 'acquire' })) })
  const result = await autocannon({
    url,
    connections: 10,
    duration: SECONDS,
    requests: [
      {
        method: 'POST',
        path,
        headers,
        body: acquire,
        onResponse: (status, body, context) => {
          check(status === 200, `batch answered ${status}`)
          const { results } = JSON.parse(body) as { results: { status: number; body: { id: string } }[] }
          check(
            results.every(({ status }) => status === 201),
            'an acquire in a batch failed'
          )
          ;(context as { leases: string[] }).leases = results.map(({ body }) => body.id)
        }
      },
      {
        method: 'POST',
        setupRequest: (request, context) => ({
          ...request,
          path,
          headers,
          body: JSON.stringify({
            operations: (context as { leases: string[] }).leases.map(lease => ({ op: 'release', lease }))
          })
        })
      }
    ]
  })
  return { perSecond: (result.requests.average / 2) * BATCH, p99: result.latency.p99 }
}

heading(`HTTP: acquire + release, ${CONNECTIONS} connections, ${ROUNDS} × ${SECONDS} s each, in turn`)
const node = await start('node')
const fastify = await start('fastify')
const small = await start('keypool', 1000)
const medium = await start('keypool', 100_000)
const large = await start('keypool', 10_000_000)
const runs = await interleaved({
  'bare node:http': () => pairs(node, CONNECTIONS),
  'bare Fastify': () => pairs(fastify, CONNECTIONS),
  'keypool, 1e3 keys': () => pairs(small, CONNECTIONS),
  'keypool, 1e5 keys': () => pairs(medium, CONNECTIONS),
  'keypool, 1e7 keys': () => pairs(large, CONNECTIONS),
  [`keypool, 1e5 keys, batches of ${BATCH}`]: () => batches(medium)
})
for (const server of [node, fastify, small, medium, large]) server.process.disconnect()

const speed = (kind: string) => summarize((runs[kind] ?? []).map(({ perSecond }) => perSecond))
const tail = (kind: string) => summarize((runs[kind] ?? []).map(({ p99 }) => p99))
table(
  ['server', 'pairs/s', 'p10', 'p90', 'of bare Fastify', 'p99 latency, ms'],
  Object.keys(runs).map(kind => {
    const { median, p10, p90 } = speed(kind)
    return [
      kind,
      thousands(median),
      thousands(p10),
      thousands(p90),
      fixed(median / speed('bare Fastify').median),
      fixed(tail(kind).median)
    ]
  })
)
const ratio = (a: number, b: number): string => fixed(a / b)
console.log(`
- keypool against the bare Fastify route: ${ratio(speed('keypool, 1e3 keys').median, speed('bare Fastify').median)} (aim: 0.9)
- a batch of ${BATCH} against single calls, keys per second: ${ratio(speed(`keypool, 1e5 keys, batches of ${BATCH}`).median, speed('keypool, 1e5 keys').median)} (aim: 10)
- p99 with 1e7 keys against 1e3: ${ratio(tail('keypool, 1e7 keys').median, tail('keypool, 1e3 keys').median)} (aim: at most 1.2)`)
process.exit(0)
