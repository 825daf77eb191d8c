import { closeSync, fdatasyncSync, mkdtempSync, openSync, rmSync, statSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '../src/clock.ts'
import { DurableEngine } from '../src/durable/engine.ts'
import { isRefusal } from '../src/engine.ts'
import { interleaved, pairs, ROUNDS, SECONDS, start } from './load.ts'
import { check, fixed, heading, summarize, table, thousands } from './measure.ts'

const CONNECTIONS = 50
const KEYS_PER_CALL = 1000
const CALLS_AT_ONCE = 10
const SIZES = (process.env['BENCH_DURABLE_SIZES'] ?? '1e6').split(',').map(Number)

/** What writing a page and one fdatasync take on this disk, in milliseconds. */
function syncMs(directory: string): number {
  const descriptor = openSync(join(directory, 'page'), 'w')
  const page = Buffer.alloc(4096)
  const samples = Array.from({ length: 200 }, () => {
    const started = performance.now()
    writeSync(descriptor, page, 0, page.length, 0)
    fdatasyncSync(descriptor)
    return performance.now() - started
  })
  closeSync(descriptor)
  return summarize(samples).median
}

function open(directory: string): DurableEngine {
  const log = { info: () => undefined, warn: console.error, error: console.error }
  return new DurableEngine({ directory, clock: systemClock(), log, onFault: console.error })
}

async function throughput(directory: string): Promise<void> {
  heading(`Durable: acquire + release, ${ROUNDS} × ${SECONDS} s each, in turn`)
  const memory = await start('keypool', 1000)
  const durable = await start('durable', 1000, directory)
  const runs = await interleaved({
    'memory, 50 connections': () => pairs(memory, CONNECTIONS),
    'durable, 50 connections': () => pairs(durable, CONNECTIONS),
    'memory, 1 connection': () => pairs(memory, 1),
    'durable, 1 connection': () => pairs(durable, 1)
  })
  memory.process.disconnect()
  durable.process.disconnect()
  const speed = (kind: string) => summarize((runs[kind] ?? []).map(({ perSecond }) => perSecond))
  table(
    ['engine', 'pairs/s', 'p10', 'p90', 'of memory'],
    Object.keys(runs).map(kind => {
      const { median, p10, p90 } = speed(kind)
      const baseline = speed(kind.replace('durable', 'memory')).median
      return [kind, thousands(median), thousands(p10), thousands(p90), fixed(median / baseline)]
    })
  )
  const call = 1000 / (2 * speed('durable, 1 connection').median)
  console.log(
    `\n- a durable call of one connection takes ${fixed(call)} ms; a page and its fdatasync ${fixed(syncMs(directory))} ms`
  )
}

/** How long an engine takes to come back with so many keys, and what they take on the disk. */
async function recovery(directory: string, keys: number): Promise<(string | number)[]> {
  const engine = open(directory)
  await engine.start()
  await engine.putPool('default', { keepAliveMs: null, maxKeys: 16_000_000 })
  for (let made = 0; made < keys; made += KEYS_PER_CALL * CALLS_AT_ONCE) {
    const answers = await Promise.all(
      Array.from({ length: CALLS_AT_ONCE }, () => engine.generate('default', { count: KEYS_PER_CALL, metadata: null }))
    )
    check(!answers.some(isRefusal), 'keys were refused')
  }
  await engine.close()
  const again = open(directory)
  const started = performance.now()
  await again.start()
  const ms = performance.now() - started
  const pool = await again.pool('default')
  check(!isRefusal(pool) && pool.counts.total === keys, 'keys are missing')
  await again.close()
  return [
    thousands(keys),
    fixed(ms / 1000),
    fixed((ms * 1000) / keys),
    thousands(statSync(join(directory, 'data.mdb')).size / keys)
  ]
}

async function inDirectory<T>(run: (directory: string) => Promise<T>): Promise<T> {
  const directory = mkdtempSync(join(tmpdir(), 'keypool-bench-'))
  try {
    return await run(directory)
  } finally {
    rmSync(directory, { recursive: true })
  }
}

await inDirectory(throughput)
heading('Durable: recovery, the check of the whole file included')
const rows: (string | number)[][] = []
for (const keys of SIZES) rows.push(await inDirectory(directory => recovery(directory, keys)))
table(['keys', 'seconds', 'µs per key', 'disk bytes per key'], rows)
process.exit(0)
