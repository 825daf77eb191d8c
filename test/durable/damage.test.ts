import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { ALIVE_FILE, FILE } from '../../src/durable/layout.ts'
import { StoreScan } from '../../src/durable/scan.ts'
import { createDirectory, createDurable } from '../support/create-durable.ts'
import { generate, granted } from '../support/create-engine.ts'
import { DamageJudge } from '../support/damage-judge.ts'
import { seededRandom } from '../support/seeded-random.ts'

const POOL = 'default'
const PAGE = 4096
/** Of each page: in its header, whose bytes mean most, and anywhere. */
const IN_HEADER = 1
const ANYWHERE = 2
const HEADER = 32

/** Reads a store from end to end, as a start of the service does. */
async function scan(directory: string): Promise<void> {
  const { blocks } = await new StoreScan(directory).read()
  for await (const _ of blocks);
}

/** What an engine has left, the same each time, in pages of every kind: roots, branches, leaves, rows of several pages, free ones. */
async function createUsed(t: Parameters<typeof createDurable>[0]) {
  const { engine, directory } = await createDurable(t, { random: seededRandom(11) })
  const keys = await generate(engine, 40)
  const operations = Array.from({ length: 40 }, () => ({ op: 'acquire' as const }))
  await granted(engine.batch(POOL, operations, { retry: { scope: 's', fingerprint: 'f' } }))
  for (const { id } of keys.slice(0, 10)) await granted(engine.delete(POOL, id))
  // In one transaction: its pages are most of the file.
  await generate(engine, 400)
  await engine.close()
  const file = readFileSync(join(directory, FILE))

  /** A copy with another data file. */
  function withFile(bytes: Uint8Array): string {
    const copy = createDirectory(t)
    cpSync(join(directory, ALIVE_FILE), join(copy, ALIVE_FILE))
    writeFileSync(join(copy, FILE), bytes)
    return copy
  }

  /** A copy in which one byte is another. */
  function withFlip(at: number, bits: number): string {
    const bytes = Buffer.from(file)
    bytes.writeUInt8(bytes.readUInt8(at) ^ bits, at)
    return withFile(bytes)
  }

  return { file, withFile, withFlip }
}

t.test('with a byte that is another, a start is refused, or everything is there', async t => {
  const { file, withFlip, withFile } = await createUsed(t)
  const judge = new DamageJudge()
  t.teardown(() => judge.close())
  const whole = await judge.judge(withFile(file))
  if (whole === 'ended' || 'refused' in whole) throw new Error(JSON.stringify(whole))
  const random = seededRandom(7)
  const refused = new Map<string, string>()
  const counts = { refused: 0, whole: 0 }
  for (let page = 0; page < file.length; page += PAGE) {
    for (let i = 0; i < IN_HEADER + ANYWHERE; i++) {
      const at = page + random.below(i < IN_HEADER ? HEADER : PAGE)
      const directory = withFlip(at, 1 + random.below(255))
      const outcome = await judge.judge(directory)
      if (outcome === 'ended') {
        counts.refused++
      } else if ('refused' in outcome) {
        counts.refused++
        refused.set(outcome.refused.replace(/^.*is damaged|[0-9]+/g, ''), directory)
      } else {
        counts.whole++
        if (outcome.content !== whole.content) t.fail(`byte ${at} of ${file.length}: something else is there`)
      }
      if (!new Set(refused.values()).has(directory)) rmSync(directory, { recursive: true })
    }
  }
  t.ok(counts.refused > 20, `${counts.refused} refused, ${counts.whole} in bytes that mean nothing`)
  for (const [kind, directory] of refused) await t.rejects(scan(directory), { message: /data\.mdb/ }, kind)
})

t.test('a file that is cut is refused by its name, or has lost nothing', async t => {
  const { file, withFile } = await createUsed(t)
  const judge = new DamageJudge()
  t.teardown(() => judge.close())
  const whole = await judge.judge(withFile(file))
  const lengths = [0, 1, 2 * PAGE, file.length - PAGE, file.length - 1]
  let refused = 0
  for (const length of lengths) {
    const directory = withFile(file.subarray(0, length))
    const wrong = await scan(directory).then(
      () => undefined,
      (error: Error) => error.message
    )
    if (wrong === undefined) {
      t.strictSame(await judge.judge(directory), whole, `${length} of ${file.length} bytes`)
    } else {
      refused++
      t.match(wrong, /data\.mdb/, `${length} of ${file.length} bytes`)
    }
  }
  t.ok(refused >= 3, `${refused} of ${lengths.length} refused`)
  // Reading beyond the end of a mapped file is a signal: another process than the one that asks gets it.
  await t.rejects(scan(withFile(file.subarray(0, file.length / 2))), { message: /reading it ends the process/ })
})

t.test('a file of another program is refused by its name', async t => {
  const { file, withFile } = await createUsed(t)
  const text = Buffer.from('SQLite format 3\0'.padEnd(3 * PAGE, 'x'))
  for (const other of [text, Buffer.concat([Buffer.alloc(2 * PAGE), file.subarray(2 * PAGE)])]) {
    const directory = withFile(other)
    await t.rejects(scan(directory), { message: /data\.mdb/ })
    t.ok(readFileSync(join(directory, FILE)).equals(other), 'nothing is written to it')
    rmSync(join(directory, ALIVE_FILE))
    await t.rejects(scan(directory), { message: /data\.mdb/ }, 'also where there were no data before')
  }
})

t.test('a file that is gone is refused, a directory that was never used is not', async t => {
  const { file, withFile } = await createUsed(t)
  const directory = withFile(file)
  rmSync(join(directory, FILE))
  await t.rejects(scan(directory), { message: /data\.mdb is damaged: it is missing/ })
  await t.resolves(scan(createDirectory(t)))
})
