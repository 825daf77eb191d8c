// Run by `npm run test:crash`, with the service as it is built: a disk that is full, a second process, a directory that is
// read-only.

import { spawnSync } from 'node:child_process'
import { chmodSync, chownSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { Caller } from './caller.ts'
import { freePort } from '../support/free-port.ts'
import { MAIN, Server } from './server.ts'

/** In blocks of 1,024 bytes: an empty store has some twenty. */
const LIMIT = 600
const KEYS = 200

/** The user who owns nothing, by number. */
const NOBODY = 65_534

t.setTimeout(600_000)

t.test('a full disk refuses with 503, reads go on, and nothing that was acknowledged is lost', async t => {
  const directory = mkdtempSync(join(tmpdir(), 'keypool-full-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  const engine = { KEYPOOL_DATA_DIR: directory }
  const port = await freePort()
  const caller = new Caller(port)
  t.teardown(() => caller.close())
  // Node ignores the signal of the limit: a write beyond it fails.
  const full = new Server(engine, port, { limit: LIMIT })
  t.teardown(() => full.end())
  await full.ready()
  let acknowledged = 0
  for (;;) {
    const answer = await caller.ask('POST /v1/pools/default/keys', { count: KEYS })
    if (answer?.status !== 201) {
      t.match(answer, { status: 503, body: { code: 'storage-unavailable' } })
      break
    }
    acknowledged += KEYS
  }
  t.ok(acknowledged > 0)
  const counts = { body: { counts: { total: acknowledged, free: acknowledged } } }
  t.match(await caller.ask('GET /v1/pools/default'), counts, 'reads go on, and memory has what the disk has')

  if (spawnSync('prlimit', ['--version']).error) t.comment('prlimit is missing: whether writes resume is not looked at')
  else {
    t.equal(spawnSync('prlimit', ['--pid', String(full.pid), '--fsize=unlimited']).status, 0)
    await full.ready()
    t.match(await caller.ask('POST /v1/pools/default/keys', { count: KEYS }), { status: 201 }, 'they resume')
    counts.body.counts = { total: acknowledged + KEYS, free: acknowledged + KEYS }
  }
  await full.kill()

  const later = new Server(engine, port)
  t.teardown(() => later.end())
  await later.ready()
  t.match(await caller.ask('GET /v1/pools/default'), counts, 'the disk has what memory had')

  const second = new Server(engine, await freePort())
  t.teardown(() => second.end())
  t.equal(await second.ended(), 1)
  t.match(second.errors, `keypool does not start: ${directory} is in use by process ${later.pid}: two may not share`)
  t.match(await caller.ask('POST /v1/pools/default/leases'), { status: 201 }, 'the first goes on')
  await later.kill()
})

t.test('a directory made read-only is written on by who has it, and refused by its name at a start', async t => {
  const directory = mkdtempSync(join(tmpdir(), 'keypool-read-only-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  // Permissions are nothing to root.
  const user = process.getuid?.() === 0 ? NOBODY : undefined
  if (user !== undefined) {
    chownSync(directory, user, user)
    if (spawnSync(process.execPath, ['--check', MAIN], { uid: user, gid: user }).status !== 0) {
      t.comment('skipped: a user who is not root can not read the service here')
      return
    }
  }
  const engine = { KEYPOOL_DATA_DIR: directory }
  const port = await freePort()
  const caller = new Caller(port)
  t.teardown(() => caller.close())
  const server = new Server(engine, port, { user })
  t.teardown(() => server.end())
  await server.ready()
  t.match(await caller.ask('POST /v1/pools/default/keys', { count: 1 }), { status: 201 })
  chmodSync(directory, 0o555)
  t.match(await caller.ask('POST /v1/pools/default/keys', { count: 1 }), { status: 201 }, 'its files are open')
  await server.kill()

  const refused = async (message: string): Promise<void> => {
    const start = new Server(engine, port, { user })
    t.teardown(() => start.end())
    t.equal(await start.ended(), 1)
    t.match(start.errors, `keypool does not start: ${message}`)
  }
  await refused(`the data directory ${directory} can not be written by this user`)
  chmodSync(directory, 0o755)
  for (const file of readdirSync(directory)) chmodSync(join(directory, file), 0o400)
  await refused(`${join(directory, 'data.mdb')} can not be read: Permission denied`)

  for (const file of readdirSync(directory)) chmodSync(join(directory, file), 0o600)
  const later = new Server(engine, port, { user })
  t.teardown(() => later.end())
  await later.ready()
  t.match(await caller.ask('GET /v1/pools/default'), { body: { counts: { total: 2 } } }, 'nothing was lost')
  await later.kill()
})
