import { fork } from 'node:child_process'
import { once } from 'node:events'
import { Agent, request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { check, fixed, heading, summarize, table, thousands } from './measure.ts'

// Every kind of call against a process of its own whose time runs sixty times as fast: a minute brings as many keys,
// leases, waits and results kept for retries to their ends as an hour. Nothing may be left of them. What is left of keys
// that retired is their ids, for ever; so they age in one pool alone, which is deleted and made anew.
const SECONDS = Number(process.env['BENCH_SOAK_SECONDS'] ?? 60)
const CALLERS = 32
const POOLS = 4
const SPEED = 60
/** The pool whose keys are left to age. */
const AGING = 3
const SAMPLES = 12
/** What a heap may grow by over the second half and count as flat: noise of the collections, and code that V8 still makes. */
const FLAT = 0.1

const script = fileURLToPath(new URL('server.js', import.meta.url))
const server = fork(script, ['keypool', '0', '', String(SPEED)], { execArgv: ['--expose-gc'] })
const [{ port }] = (await once(server, 'message')) as [{ port: number }]
const agent = new Agent({ keepAlive: true, maxSockets: CALLERS })
let calls = 0
let turns = 0
const statuses = new Map<number, number>()

interface Reply {
  status: number
  body: any
}

function ask(method: string, path: string, body?: object, headers: Record<string, string> = {}): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const type = body === undefined ? {} : { 'content-type': 'application/json' }
    const sent = request(
      { port, host: '127.0.0.1', agent, method, path, headers: { ...type, ...headers } },
      response => {
        let text = ''
        response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
        response.on('end', () => {
          const status = response.statusCode as number
          calls++
          statuses.set(status, (statuses.get(status) ?? 0) + 1)
          resolve({ status, body: text === '' ? null : JSON.parse(text) })
        })
      }
    )
    sent.on('error', reject)
    sent.end(body === undefined ? undefined : JSON.stringify(body))
  })
}

/** A caller that goes before it is answered. */
function leave(path: string): Promise<void> {
  return new Promise(resolve => {
    const sent = request({
      port,
      host: '127.0.0.1',
      method: 'POST',
      path,
      headers: { 'content-type': 'application/json' }
    })
    sent.on('error', () => undefined).on('close', () => resolve())
    sent.end('{"waitMs":1000}', () => setImmediate(() => sent.destroy()))
  })
}

async function caller(number: number, until: number): Promise<void> {
  const ages = number % POOLS === AGING
  const pool = `/v1/pools/soak-${number % POOLS}`
  while (performance.now() < until) {
    const turn = turns++
    const retry = { 'idempotency-key': `${number}-${turn}` }
    const made = await ask('POST', `${pool}/keys`, { count: 5, metadata: { turn: String(turn) } }, retry)
    check(made.status === 201, `generate answered ${made.status}`)
    const again = await ask('POST', `${pool}/keys`, { count: 5, metadata: { turn: String(turn) } }, retry)
    check(again.status === 201, `its retry answered ${again.status}`)
    const ids = (made.body.keys as { id: string }[]).map(({ id }) => id)
    const lease = await ask(
      'POST',
      `${pool}/leases`,
      { holder: `caller ${number}`, waitMs: 6000 },
      { 'idempotency-key': `l${number}-${turn}` }
    )
    if (lease.status === 201) {
      await ask('PUT', `${pool}/leases/${lease.body.id}/renewal`, { keepAlive: true })
      // Every fourth is left to its deadline.
      if (turn % 4 > 0)
        await ask('DELETE', `${pool}/leases/${lease.body.id}${turn % 4 === 1 ? '?cooldownMs=3000' : ''}`)
    }
    const operations = [
      ...ids.map(id => ({ op: 'keepAlive', id })),
      { op: 'acquire', leaseMs: 6000 },
      { op: 'delete', id: ids[0] }
    ]
    check(
      (await ask('POST', `${pool}/batch`, { operations }, { 'idempotency-key': `b${number}-${turn}` })).status === 200,
      'batch'
    )
    await ask('GET', `${pool}/keys?limit=50`)
    if (turn % 8 === 0) await leave(`${pool}/leases`)
    for (const id of ids.slice(1, ages ? 1 : 5)) await ask('DELETE', `${pool}/keys/${id}`)
  }
}

async function heap(): Promise<number> {
  server.send('heap')
  const [{ heapBytes }] = (await once(server, 'message')) as [{ heapBytes: number }]
  return heapBytes
}

heading(`Soak: ${CALLERS} callers, every verb, ${SECONDS} s`)
async function make(pool: number): Promise<void> {
  const policy = { leaseMs: 12_000, keepAliveMs: pool === AGING ? 30_000 : 600_000, maxHoldMs: 24_000 }
  check((await ask('PUT', `/v1/pools/soak-${pool}`, policy)).status === 201, 'the pool was not made')
}

for (let pool = 0; pool < POOLS; pool++) await make(pool)
const rows: { second: number; calls: number; bytes: number; retired: number }[] = []
const started = performance.now()
for (let sample = 1; sample <= SAMPLES; sample++) {
  const until = started + (sample * SECONDS * 1000) / SAMPLES
  await Promise.all(Array.from({ length: CALLERS }, (_, number) => caller(number, until)))
  // So that what has deadlines has passed them.
  await sleep(600)
  const pools = (await ask('GET', '/v1/pools')).body.pools as {
    counts: { total: number; retired: number; waiting: number }
  }[]
  check(
    pools.every(({ counts }) => counts.waiting === 0),
    'somebody waits for ever'
  )
  check(
    pools.every(({ counts }) => counts.total === 0),
    'keys outlived their deadlines'
  )
  const retired = pools.reduce((sum, { counts }) => sum + counts.retired, 0)
  check((await ask('DELETE', `/v1/pools/soak-${AGING}`)).status === 204, 'the pool was not deleted')
  await make(AGING)
  rows.push({ second: Math.round((performance.now() - started) / 1000), calls, bytes: await heap(), retired })
}
check(
  [...statuses.keys()].every(status => status < 500),
  'the server failed'
)

table(
  ['second', 'calls', 'heap after collection, MB', 'retired keys'],
  rows.map(({ second, calls, bytes, retired }) => [second, thousands(calls), fixed(bytes / 1e6, 1), thousands(retired)])
)
const late = rows.slice(SAMPLES / 2)
const mean = (of: (row: (typeof rows)[number]) => number): number =>
  late.reduce((sum, row) => sum + of(row), 0) / late.length
const slope =
  late.reduce(
    (sum, row) => sum + (row.calls - mean(({ calls }) => calls)) * (row.bytes - mean(({ bytes }) => bytes)),
    0
  ) / late.reduce((sum, row) => sum + (row.calls - mean(({ calls }) => calls)) ** 2, 0)
const growth =
  (slope * ((late.at(-1)?.calls ?? 0) - (late[0]?.calls ?? 0))) / summarize(late.map(({ bytes }) => bytes)).median
console.log(`
- slope over the second half: ${fixed(slope, 1)} bytes per call, ${fixed(growth * 100, 1)} % in all
- statuses: ${[...statuses]
  .sort(([a], [b]) => a - b)
  .map(([status, count]) => `${status}: ${thousands(count)}`)
  .join(', ')}
- the heap is ${growth < FLAT ? 'flat' : 'NOT flat'} (aim: less than ${FLAT * 100} % over the second half; results of the last 10 minutes are in it)`)
server.disconnect()
process.exit(growth < FLAT ? 0 : 1)
