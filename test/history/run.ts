// Run by `npm run test:history`, apart from the suite: it takes minutes. HISTORY_RUNS and HISTORY_SECONDS say how many runs
// and how long each is; HISTORY_SEED which numbers are drawn, though how calls meet is never the same. With HISTORY_BREAK=1
// the nodes are broken on purpose, and it fails where that is not found.

import { rmSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { seededRandom } from '../support/seeded-random.ts'
import { breakBuild } from './broken-build.ts'
import { Caller } from './caller.ts'
import { check, type Violation } from './checker.ts'
import { Client, Shared } from './client.ts'
import { Cluster, TERMS } from './cluster.ts'
import { Recorder } from './recorder.ts'

const NODES = 8
const CLIENTS = 200
const POOL = 'history'
/** How far two readings of the one clock may be apart, besides a drift that is measured. */
const MARGIN_MS = 3
const KILL_EVERY_MS = { from: 200, to: 2000 }
const CUT_EVERY_MS = { from: 100, to: 1000 }
/** Fewer would show nothing, though what is broken on purpose shows sooner. */
const GRANTS_AT_LEAST = { sound: 500, broken: 100 }
/** For how long a run on a slow machine goes on to come to them, in seconds. */
const PATIENCE_S = 120
const TOLD_AT_MOST = 3

const runs = Number(process.env['HISTORY_RUNS'] ?? 10)
const seconds = Number(process.env['HISTORY_SECONDS'] ?? 30)
const seed = Number(process.env['HISTORY_SEED'] ?? Math.floor(Math.random() * 2 ** 31))
const isBroken = process.env['HISTORY_BREAK'] === '1'
const say = (line: string): void => void process.stdout.write(`${line}\n`)

say(`HISTORY_SEED=${seed} HISTORY_RUNS=${runs} HISTORY_SECONDS=${seconds}${isBroken ? ', broken on purpose' : ''}`)
const build = isBroken ? breakBuild() : undefined
const main = build?.main ?? fileURLToPath(new URL('../../dist/main.js', import.meta.url))
let cluster: Cluster | undefined
process.on('exit', () => {
  cluster?.endNodes()
  if (build) rmSync(build.directory, { recursive: true, force: true })
})
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    void (cluster?.end() ?? Promise.resolve()).finally(() => process.exit(1))
  })
}

let found: Violation[] = []
for (let i = 1; i <= runs && found.length === 0; i++) found = await run(i)
if (found.length > 0) {
  for (const { what, keyId, history } of found.slice(0, TOLD_AT_MOST))
    say([`\n${keyId}: ${what}`, ...history].join('\n'))
}
if (isBroken && found[0]) say(`broken on purpose: found ${found.length} violations, as ${found[0].what}`)
if (isBroken && !found[0]) say('broken on purpose, and nothing was found')
process.exitCode = found.length > 0 === isBroken ? 0 : 1

async function run(number: number): Promise<Violation[]> {
  const random = seededRandom(seed + 1000 * number)
  const caller = new Caller()
  const present = (cluster = new Cluster(main))
  try {
    await present.start(NODES)
    const recorder = new Recorder(POOL, present.ports, caller)
    await preparePool(caller, present.ports[0] as number)
    const shared = new Shared()
    const began = recorder.now()
    const isEnough = (): boolean =>
      shared.grants >= GRANTS_AT_LEAST[isBroken ? 'broken' : 'sound'] && present.kills > 0 && present.cuts > 0
    const isOver = (): boolean => {
      const passed = (recorder.now() - began) / 1000
      return passed >= seconds && (isEnough() || passed >= seconds + PATIENCE_S)
    }
    const clients = Array.from(
      { length: CLIENTS },
      (_, i) => new Client(i, recorder, shared, seededRandom(seed + 1000 * number + i + 1))
    )
    await Promise.all([
      ...clients.map(client => client.load(isOver)),
      often(isOver, KILL_EVERY_MS, () => present.kill(random)),
      often(isOver, CUT_EVERY_MS, () => present.cut(random))
    ])
    // Whatever was done to them, they come back.
    await present.ready()
    if (!isEnough())
      throw new Error(`too little has happened: ${shared.grants} grants, ${present.kills} kills, ${present.cuts} cuts`)
    const marginMs = MARGIN_MS + recorder.driftMs()
    const { calls } = recorder
    const checking = recorder.now()
    const violations = check(calls, TERMS, marginMs)
    const unknown = calls.filter(({ answer }) => answer === 'unknown').length
    say(
      `run ${number}: ${((checking - began) / 1000).toFixed(0)} s, ${calls.length} calls, ${shared.grants} grants, ` +
        `${present.kills} kills, ${present.cuts} cuts, ${unknown} unknown outcomes, ${recorder.refused} refused; ` +
        `checked in ${((recorder.now() - checking) / 1000).toFixed(1)} s, give or take ${marginMs.toFixed(1)} ms: ` +
        (violations.length === 0 ? 'an order explains all' : `${violations.length} VIOLATIONS`)
    )
    return violations
  } finally {
    caller.close()
    await present.end()
    cluster = undefined
  }

  async function often(isOver: () => boolean, everyMs: { from: number; to: number }, what: () => Promise<void>) {
    while (!isOver()) {
      await sleep(everyMs.from + random.below(everyMs.to - everyMs.from))
      await what()
    }
  }
}

/** A machine with much to do refuses some calls for its load. */
async function preparePool(caller: Caller, port: number): Promise<void> {
  for (;;) {
    const made = await caller.ask(port, `PUT /v1/pools/${POOL}`, { body: TERMS })
    if (typeof made !== 'string' && made.status < 300) return
    if (made !== 'refused') throw new Error(`no pool: ${JSON.stringify(made)}`)
    await sleep(100)
  }
}
