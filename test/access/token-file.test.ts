import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { RELOAD_MS, TokenFile } from '../../src/access/token-file.ts'
import { turns, until } from '../support/create-engine.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { entryOf } from '../support/tokens.ts'

const OLD = JSON.stringify([entryOf('t-old', 'old')])
const NEW = JSON.stringify([entryOf('t-new', 'new'), entryOf('t-two', 'two')])

async function openFile(t: Test, path = join(t.testdir({ 'tokens.json': OLD }), 'tokens.json')) {
  const clock = new ManualClock()
  const told: (string | number)[] = []
  const file = await TokenFile.open({
    path,
    clock,
    onReload: size => told.push(size),
    onWrong: reason => told.push(reason)
  })
  t.teardown(() => file.close())
  const known = () => ['old', 'new', 'two'].filter(name => file.bearerOf(`t-${name}`)?.name === name)
  return { path, clock, told, file, known }
}

t.test('the tokens of the file are known', async t => {
  const { file, known, told } = await openFile(t)
  t.strictSame(known(), ['old'])
  t.equal(file.size, 1)
  t.strictSame(told, [])
})

t.test('a file that is missing or wrong is not opened', async t => {
  const folder = t.testdir({ 'tokens.json': '{}' })
  await t.rejects(openFile(t, join(folder, 'nothing.json')), { code: 'ENOENT', message: /nothing\.json/ })
  await t.rejects(openFile(t, join(folder, 'tokens.json')), { message: 'must be a JSON list' })
})

t.test('a file that has changed is read again within a second', async t => {
  const { path, clock, told, known } = await openFile(t)
  for (const [text, names, size] of [
    [NEW, ['new', 'two'], 2],
    [OLD, ['old'], 1],
    ['[]', [], 0]
  ] as const) {
    told.length = 0
    writeFileSync(path, text)
    clock.advance(RELOAD_MS)
    await until(() => told.length > 0 && clock.timers === 1)
    t.strictSame(told, [size])
    t.strictSame(known(), names)
  }
})

t.test('a file that has not changed is not told of', async t => {
  const { path, clock, told, file } = await openFile(t)
  clock.advance(RELOAD_MS)
  writeFileSync(path, OLD)
  await file.check()
  t.strictSame(told, [])
})

t.test('a file that is replaced by a rename is followed', async t => {
  const { path, known, file } = await openFile(t)
  for (const [text, names] of [
    [NEW, ['new', 'two']],
    [OLD, ['old']]
  ] as const) {
    writeFileSync(`${path}.tmp`, text)
    renameSync(`${path}.tmp`, path)
    await file.check()
    t.strictSame(known(), names)
  }
})

t.test('a link that is turned to another folder is followed', async t => {
  const folder = t.testdir({ one: { 'tokens.json': OLD }, two: { 'tokens.json': NEW } })
  symlinkSync('one', join(folder, 'data'))
  symlinkSync(join('data', 'tokens.json'), join(folder, 'tokens.json'))
  const { known, file } = await openFile(t, join(folder, 'tokens.json'))
  symlinkSync('two', join(folder, 'data.new'))
  renameSync(join(folder, 'data.new'), join(folder, 'data'))
  await file.check()
  t.strictSame(known(), ['new', 'two'])
})

t.test('a new version that is wrong is told once, and the tokens stay', async t => {
  const { path, told, known, file } = await openFile(t)
  writeFileSync(path, `${OLD},`)
  await Promise.all([file.check(), file.check()])
  t.strictSame(told, ['is not JSON, from line 1 on'])
  t.strictSame(known(), ['old'])
  writeFileSync(path, '[{}]')
  await file.check()
  t.match(told, ['is not JSON, from line 1 on', /^\[0\] name is missing\n/])
  writeFileSync(path, NEW)
  await file.check()
  t.equal(told.at(-1), 2)
  t.strictSame(known(), ['new', 'two'])
})

t.test('a file that is gone is told once, and read when it is there again', async t => {
  const { path, told, known, file } = await openFile(t)
  rmSync(path)
  mkdirSync(path)
  await file.check()
  rmSync(path, { recursive: true })
  await file.check()
  await file.check()
  t.match(told, [/^EISDIR/, /^ENOENT/])
  t.equal(told.length, 2)
  t.strictSame(known(), ['old'])
  writeFileSync(path, NEW)
  await file.check()
  t.strictSame(known(), ['new', 'two'])
})

t.test('a closed file is looked at no more', async t => {
  const { clock, file } = await openFile(t)
  t.equal(clock.timers, 1)
  file.close()
  t.equal(clock.timers, 0)
  const other = await openFile(t)
  other.clock.advance(RELOAD_MS)
  other.file.close()
  await other.file.check()
  await turns(2)
  t.equal(other.clock.timers, 0)
})
