import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import autocannon from 'autocannon'
import { check, fixed, heading, summarize, table, thousands } from './measure.ts'

const CONNECTIONS = 50
const SECONDS = Number(process.env['BENCH_SECONDS'] ?? 4)
const ROUNDS = Number(process.env['BENCH_ROUNDS'] ?? 5)
const BATCH = 100

interface Server {
  url: string
  process: ChildProcess
}

interface Run {
  /** Acquire and release, or a batch of them, per second. */
  perSecond: number
  p99: number
}

async function start(kind: string, keys = 1000): Promise<Server> {
  const script = fileURLToPath(new URL('server.js', import.meta.url))
  const child = fork(script, [kind, String(keys)], { execArgv: ['--max-old-space-size=8192'] })
  const [{ port }] = (await once(child, 'message')) as [{ port: number }]
  return { url: `http://127.0.0.1:${port}`, process: child }
}

/** Each connection acquires, then releases what it got, over and over. */
async function pairs({ url }: Server): Promise<Run> {
  const result = await autocannon({
    url,
    connections: CONNECTIONS,
    duration: SECONDS,
    requests: [
      {
        method: 'POST',
        path: '/v1/pools/default/leases',
        onResponse: (status, body, context) => {
          check(status === 201, `acquire answered ${status}`)
          ;(context as { lease: string }).lease = /"id":"([^"]+)"/.exec(body)?.[1] as string
        }
      },
      {
        method: 'DELETE',
        setupRequest: (request, context) => ({
          ...request,
          path: `/v1/pools/default/leases/${(context as { lease: string }).lease}`
        }),
        onResponse: status => check(status === 204, `release answered ${status}`)
      }
    ]
  })
  check(result.errors === 0 && result.non2xx === 0, 'a request failed')
  return { perSecond: result.requests.average / 2, p99: result.latency.p99 }
}

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

/** Runs all kinds in turn, several times, so that what else the machine does falls on all alike. */
async function interleaved(kinds: Record<string, () => Promise<Run>>): Promise<Record<string, Run[]>> {
  const runs: Record<string, Run[]> = Object.fromEntries(Object.keys(kinds).map(kind => [kind, []]))
  for (let round = -1; round < ROUNDS; round++) {
    for (const [kind, run] of Object.entries(kinds)) {
      const result = await run()
      // The first round warms up.
      if (round >= 0) runs[kind]?.push(result)
    }
  }
  return runs
}

heading(`HTTP: acquire + release, ${CONNECTIONS} connections, ${ROUNDS} × ${SECONDS} s each, in turn`)
const node = await start('node')
const fastify = await start('fastify')
const small = await start('keypool', 1000)
const medium = await start('keypool', 100_000)
const large = await start('keypool', 10_000_000)
const runs = await interleaved({
  'bare node:http': () => pairs(node),
  'bare Fastify': () => pairs(fastify),
  'keypool, 1e3 keys': () => pairs(small),
  'keypool, 1e7 keys': () => pairs(large),
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
      fixed(tail(kind).median, 1)
    ]
  })
)
const ratio = (a: number, b: number): string => fixed(a / b)
console.log(`
- keypool against the bare Fastify route: ${ratio(speed('keypool, 1e3 keys').median, speed('bare Fastify').median)} (aim: 0.9)
- a batch of ${BATCH} against single calls, keys per second: ${ratio(speed(`keypool, 1e5 keys, batches of ${BATCH}`).median, speed('keypool, 1e3 keys').median)} (aim: 10)
- p99 with 1e7 keys against 1e3: ${ratio(tail('keypool, 1e7 keys').median, tail('keypool, 1e3 keys').median)} (aim: at most 1.2)`)
process.exit(0)
