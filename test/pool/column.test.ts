import t from 'tap'
import {
  CHUNK,
  CHUNK_BITS,
  CHUNK_MASK,
  chunkLength,
  Float64Column,
  Int32Column,
  ReferenceColumn
} from '../../src/pool/column.ts'

t.test('a chunk is a power of two', async t => {
  t.equal(CHUNK, 2 ** CHUNK_BITS)
  t.equal(CHUNK_MASK, CHUNK - 1)
})

t.test('only the first chunk begins small, and doubles up to the length of the others', async t => {
  t.equal(chunkLength(0), chunkLength(15))
  t.ok(chunkLength(0) <= 16)
  t.equal(chunkLength(16), 2 * chunkLength(15))
  t.equal(chunkLength(CHUNK / 2), CHUNK)
  t.equal(chunkLength(CHUNK - 1), CHUNK)
  t.equal(chunkLength(CHUNK), CHUNK)
  t.equal(chunkLength(9 * CHUNK + 1), CHUNK)
})

t.test('members stay while the first chunk grows, and those behind them are empty', async t => {
  for (const column of [new Float64Column(), new Int32Column()]) {
    for (let index = 0; index < CHUNK; index++) {
      t.equal(column.get(index), 0)
      column.set(index, index + 1)
    }
    for (let index = 0; index < CHUNK; index++) if (column.get(index) !== index + 1) t.fail(`member ${index} changed`)
  }
  const strings = new ReferenceColumn<string>()
  strings.set(0, 'zero')
  t.equal(strings.get(CHUNK - 1), undefined)
  strings.set(CHUNK - 1, 'last')
  t.strictSame([strings.get(0), strings.get(1), strings.get(CHUNK - 1)], ['zero', undefined, 'last'])
})

t.test('a member that was never set reads as the empty value', async t => {
  for (const column of [new Float64Column(), new Int32Column()]) {
    t.equal(column.get(0), 0)
    t.equal(column.get(5 * CHUNK), 0)
    column.set(5 * CHUNK, 7)
    t.equal(column.get(0), 0, 'in a chunk before')
    t.equal(column.get(5 * CHUNK + 1), 0, 'in the same chunk')
    t.equal(column.get(6 * CHUNK), 0, 'in a chunk behind')
  }
  for (const column of [new ReferenceColumn<string>(), new ReferenceColumn<object>()]) {
    t.equal(column.get(3), undefined)
    t.equal(column.get(CHUNK), undefined)
  }
})

t.test('a member keeps what was set, whatever is set beside it', async t => {
  const numbers = new Float64Column()
  const indexes = [0, 1, CHUNK - 1, CHUNK, 3 * CHUNK, 2 * CHUNK]
  for (const index of indexes) numbers.set(index, index + 0.5)
  for (const index of indexes) t.equal(numbers.get(index), index + 0.5)
  numbers.set(CHUNK, Infinity)
  t.equal(numbers.get(CHUNK), Infinity)
  t.equal(numbers.get(CHUNK - 1), CHUNK - 0.5)
})

t.test('strings and objects are kept, and can be unset', async t => {
  const strings = new ReferenceColumn<string>()
  strings.set(2, 'two')
  t.equal(strings.get(2), 'two')
  strings.set(2, undefined)
  t.equal(strings.get(2), undefined)

  const objects = new ReferenceColumn<object>()
  const colour = { colour: 'red' }
  objects.set(CHUNK + 1, colour)
  t.equal(objects.get(CHUNK + 1), colour)
  t.equal(objects.get(1), undefined)
})

t.test('members keep their values when the column grows by many chunks', async t => {
  const column = new Int32Column()
  column.set(0, 1)
  for (let index = CHUNK; index < 64 * CHUNK; index += CHUNK) column.set(index, index)
  t.equal(column.get(0), 1)
  t.equal(column.get(63 * CHUNK), 63 * CHUNK)
})
