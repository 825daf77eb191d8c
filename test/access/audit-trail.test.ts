import { closeSync, existsSync, openSync, readFileSync, renameSync, rmSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { AuditEntry } from '../../src/access/audit-entry.ts'
import { AuditTrail } from '../../src/access/audit-trail.ts'
import { until } from '../support/create-engine.ts'
import { ManualClock } from '../support/manual-clock.ts'

const ENTRY: AuditEntry = {
  token: 'ci',
  remote: '127.0.0.1',
  verb: 'acquireLease',
  pool: 'default',
  id: 'BkCXifihbnFc1GqC2dgGHG',
  fence: 7,
  outcome: 'ok',
  requestId: 'r-1'
}
/** A device on which each write fails as on a full disk. */
const FULL = '/dev/full'

async function openTrail(t: Test, destination: string | number) {
  const clock = new ManualClock()
  const faults: string[] = []
  const trail = await AuditTrail.open({ destination, clock, onFault: ({ message }) => faults.push(message) })
  t.teardown(() => trail.close())
  const write = (...ids: string[]) => ids.forEach(requestId => trail.write({ ...ENTRY, requestId }))
  return { trail, clock, faults, write }
}

function linesOf(path: string): { requestId: string }[] {
  return readFileSync(path, 'utf8')
    .split('\n')
    .filter(line => line !== '')
    .map(line => JSON.parse(line))
}

const idsOf = (path: string) => linesOf(path).map(({ requestId }) => requestId)

t.test('a line has the time and all members, in this order', async t => {
  const path = join(t.testdir(), 'audit.log')
  const { trail, write } = await openTrail(t, path)
  write('r-1')
  await trail.close()
  t.equal(
    readFileSync(path, 'utf8'),
    '{"time":"2026-03-01T12:00:00.000Z","token":"ci","remote":"127.0.0.1","verb":"acquireLease","pool":"default",' +
      '"id":"BkCXifihbnFc1GqC2dgGHG","fence":7,"outcome":"ok","requestId":"r-1"}\n'
  )
})

t.test('lines are appended, in order, and all are written at the end', async t => {
  const path = join(t.testdir({ 'audit.log': '{"requestId":"earlier"}\n' }), 'audit.log')
  const { trail, clock, write } = await openTrail(t, path)
  const ids = Array.from({ length: 1000 }, (_, i) => `r-${i}`)
  for (const id of ids) {
    clock.advance(1)
    write(id)
  }
  await trail.close()
  t.strictSame(idsOf(path), ['earlier', ...ids])
  t.match(linesOf(path).at(-1), { time: '2026-03-01T12:00:01.000Z' })
})

t.test('a file that can not be opened is refused', async t => {
  await t.rejects(openTrail(t, join(t.testdir(), 'nowhere', 'audit.log')), { code: 'ENOENT' })
})

t.test('lines go to a descriptor too, which nobody moves away', async t => {
  const path = join(t.testdir(), 'output')
  const descriptor = openSync(path, 'w')
  const { trail, write } = await openTrail(t, descriptor)
  write('r-1')
  t.strictSame(idsOf(path), ['r-1'], 'at once')
  await trail.reopen()
  write('r-2')
  await trail.close()
  t.strictSame(idsOf(path), ['r-1', 'r-2'])
  t.throws(() => closeSync(descriptor), { code: 'EBADF' })
})

t.test('after the file was moved away, it is opened anew and no line is lost', async t => {
  const path = join(t.testdir(), 'audit.log')
  const { trail, faults, write } = await openTrail(t, path)
  write('r-1', 'r-2')
  renameSync(path, `${path}.1`)
  write('r-3')
  const reopened = trail.reopen()
  write('r-4')
  await reopened
  write('r-5')
  await trail.close()
  await until(() => idsOf(`${path}.1`).length === 4)
  t.strictSame(idsOf(`${path}.1`), ['r-1', 'r-2', 'r-3', 'r-4'])
  t.strictSame(idsOf(path), ['r-5'])
  t.strictSame(faults, [])
})

t.test('where it can not be opened anew, the old file is written on', async t => {
  const folder = t.testdir({ logs: {} })
  const path = join(folder, 'logs', 'audit.log')
  const { trail, faults, write } = await openTrail(t, path)
  renameSync(join(folder, 'logs'), join(folder, 'moved'))
  await trail.reopen()
  t.match(faults, [/^ENOENT/])
  write('r-1')
  await trail.close()
  t.strictSame(idsOf(join(folder, 'moved', 'audit.log')), ['r-1'])
})

t.test('on a full disk', { skip: !existsSync(FULL) && `there is no ${FULL}` }, async t => {
  /** A trail whose disk is full, and how it gets another. */
  async function openFull(t: Test) {
    const path = join(t.testdir(), 'audit.log')
    symlinkSync(FULL, path)
    return { path, ...(await openTrail(t, path)), replace: () => rmSync(path) }
  }

  t.test('the fault is told once, and shown until lines are written again', async t => {
    const { trail, faults, write, replace, path } = await openFull(t)
    t.equal(trail.fault, undefined)
    write('r-1')
    await until(() => trail.fault !== undefined)
    t.match(trail.fault, /^ENOSPC/)
    write('r-2')
    await trail.reopen()
    write('r-3')
    await until(() => trail.fault !== undefined)
    t.match(faults, [/^ENOSPC/])
    replace()
    await trail.reopen()
    t.equal(trail.fault, undefined)
    write('r-4')
    await trail.close()
    t.strictSame(idsOf(path), ['r-4'])
  })

  t.test('what is kept is bounded, and that lines are lost is told once', async t => {
    const { trail, faults, write } = await openFull(t)
    write('x'.repeat(9_000_000), 'lost'.repeat(3_000_000), 'lost'.repeat(3_000_000))
    await until(() => trail.fault !== undefined)
    t.strictSame(faults.filter(fault => /lost/.test(fault)).length, 1)
  })

  t.test('the end does not wait for it', async t => {
    const { trail, write } = await openFull(t)
    write('r-1')
    await trail.close()
    t.match(trail.fault, /^ENOSPC/)
  })
})

t.test('what is left of sums is written at the end', async t => {
  const path = join(t.testdir(), 'audit.log')
  const { trail, clock } = await openTrail(t, path)
  for (const requestId of ['r-1', 'r-2', 'r-3']) trail.sumUp({ ...ENTRY, requestId })
  await trail.close()
  t.match(linesOf(path), [{ requestId: 'r-1' }, { requestId: null, token: 'ci', times: 2 }])
  t.equal(clock.timers, 0)
  trail.sumUp(ENTRY)
  t.equal(clock.timers, 0, 'after the end nothing is counted')
})

t.test('after the end nothing is written', async t => {
  const path = join(t.testdir(), 'audit.log')
  const { trail, write } = await openTrail(t, path)
  write('r-1')
  await trail.close()
  write('r-2')
  await trail.close()
  t.strictSame(idsOf(path), ['r-1'])
})
