// Run by `npm run test:crash`, apart from the suite: it takes minutes. CRASH_KILLS says how often the server is killed,
// CRASH_SEED which numbers are drawn; how calls and kills meet is never the same.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { seededRandom } from '../support/seeded-random.ts'
import { Caller } from './caller.ts'
import { Client, POLICIES } from './client.ts'
import { compare } from './comparison.ts'
import { Ledger } from './ledger.ts'
import { readAll } from './read-all.ts'
import { freePort } from '../support/free-port.ts'
import { Server } from './server.ts'
import { Spender } from './spender.ts'

const CLIENTS = 32
const LOAD_MS = { from: 200, to: 1500 }
/** Of so many starts one is killed before it is ready. */
const KILLED_EARLY = 4
const TOLD_AT_MOST = 20

const kills = Number(process.env['CRASH_KILLS'] ?? 100)
const seed = Number(process.env['CRASH_SEED'] ?? Math.floor(Math.random() * 2 ** 31))
const random = seededRandom(seed)
const say = (line: string): void => void process.stdout.write(`${line}\n`)

const directory = mkdtempSync(join(tmpdir(), 'keypool-crash-'))
const engine = { KEYPOOL_DATA_DIR: directory }
const port = await freePort()
const ledger = new Ledger(Date.now)
const clients = Array.from({ length: CLIENTS }, (_, i) => new Client(i, ledger, seededRandom(seed + i + 1)))
const spender = new Spender(ledger)
let server = new Server(engine, port)
process.on('exit', () => server.end())

say(`CRASH_SEED=${seed} CRASH_KILLS=${kills}, in ${directory}`)
const began = Date.now()
let startMs = await server.ready()
await prepare()
for (let kill = 1; kill <= kills; kill++) {
  const loadMs = LOAD_MS.from + random.below(LOAD_MS.to - LOAD_MS.from)
  await loadAndKill(loadMs)
  let early = 0
  for (; kill < kills && random.below(KILLED_EARLY) === 0; kill++, early++) {
    server = new Server(engine, port)
    await sleep(random.below(Math.ceil(startMs * 1.2)))
    await server.kill()
  }
  server = new Server(engine, port)
  startMs = await server.ready()
  await check()
  say(
    `kill ${kill}: after ${loadMs} ms of load${early === 0 ? '' : `, and ${early} while it started`}; ready in ${startMs} ms; ` +
      `${ledger.keys.size} keys, ${ledger.leases.size} leases and ${ledger.dead.size} ends so far`
  )
  judge()
}
await server.kill()
const answered = clients.reduce((sum, client) => sum + client.answered, 0)
say(
  `${kills} kills in ${Math.round((Date.now() - began) / 1000)} s, ${answered} answers, ${spender.spent} keys spent: nothing was lost or undone`
)
rmSync(directory, { recursive: true })

async function prepare(): Promise<void> {
  const caller = new Caller(port)
  for (const [name, policy] of POLICIES) {
    const pool = ledger.pool(name, name === 'brief')
    const answer = await caller.ask(`PUT /v1/pools/${name}`, policy)
    if (answer === undefined || answer.status >= 300) throw new Error(`${name}: ${JSON.stringify(answer)}`)
    pool.exists = true
    pool.leaseMs = policy.leaseMs
  }
  // Of a dialect, from the start on.
  const { leaseMs } = (await caller.ask('GET /v1/pools/tokens'))?.body['policy'] as { leaseMs: number }
  Object.assign(ledger.pool('tokens'), { exists: true, leaseMs })
  caller.close()
}

async function loadAndKill(loadMs: number): Promise<void> {
  let over = false
  const callers = clients.map(() => new Caller(port))
  const spends = new Caller(port)
  const loads = clients.map((client, i) => client.load(callers[i] as Caller, () => over))
  loads.push(spender.load(spends, () => over))
  await sleep(loadMs)
  await server.kill()
  over = true
  await Promise.all(loads)
  for (const caller of [...callers, spends]) caller.close()
}

/** All that was acknowledged is there, and calls that are made again come to what they came to. */
async function check(): Promise<void> {
  const callers = clients.map(() => new Caller(port))
  compare(ledger, await readAll(callers, ledger.watched, ledger.keys.values()))
  await Promise.all(clients.map((client, i) => client.retry(callers[i] as Caller)))
  // Its fences grow past all that were seen before the kill.
  await spender.spend(callers[0] as Caller)
  for (const caller of callers) caller.close()
}

function judge(): void {
  if (server.errors !== '') ledger.wrong('the log', server.errors)
  const { violations } = ledger
  if (violations.length === 0) return
  say(`\n${violations.length} violations, CRASH_SEED=${seed}; the data are left in ${directory}:`)
  for (const violation of violations.slice(0, TOLD_AT_MOST)) say(`  ${violation}`)
  process.exit(1)
}
