// Run by `npm run test:crash`: a disk that is full, and a second process, with the service as it is built.

import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { Caller } from './caller.ts'
import { freePort } from '../support/free-port.ts'
import { Server } from './server.ts'

/** In blocks of 1,024 bytes: an empty store has some twenty. */
const LIMIT = 600
const KEYS = 200

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
