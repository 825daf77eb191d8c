import fc from 'fast-check'
import t from 'tap'
import { CHUNK } from '../../src/pool/column.ts'
import {
  ACQUIRED_AT,
  CREATED_AT,
  FENCE,
  HOLD_ENTRY,
  HOLD_MS,
  KEEP_ALIVE_BY,
  LIFE_ENTRY,
  PLACE,
  Records,
  SERIAL,
  UNTIL
} from '../../src/pool/records.ts'

const NUMBERS = [CREATED_AT, KEEP_ALIVE_BY, UNTIL, ACQUIRED_AT, FENCE, SERIAL] as const
const INTEGERS = [HOLD_MS, PLACE, HOLD_ENTRY, LIFE_ENTRY] as const

/** Sets each field to a value of its own. */
function fill(records: Records, slot: number): void {
  for (const field of NUMBERS) records.set(slot, field, slot * 100 + field + 0.5)
  for (const field of INTEGERS) records.setInteger(slot, field, slot * 100 + field)
}

function fields(records: Records, slot: number): number[] {
  return [...NUMBERS.map(field => records.get(slot, field)), ...INTEGERS.map(field => records.getInteger(slot, field))]
}

const EMPTY = [...NUMBERS, ...INTEGERS].map(() => 0)

t.test('a new slot has every field at 0', async t => {
  const records = new Records()
  const slot = records.open()
  t.strictSame(fields(records, slot), EMPTY)
})

t.test('each field of each slot keeps what was set', async t => {
  const records = new Records()
  const slots = Array.from({ length: CHUNK + 2 }, () => records.open())
  t.equal(new Set(slots).size, slots.length)
  for (const slot of slots) fill(records, slot)
  for (const slot of slots) {
    const kept = [...NUMBERS.map(field => slot * 100 + field + 0.5), ...INTEGERS.map(field => slot * 100 + field)]
    if (fields(records, slot).join() !== kept.join()) throw new Error(`a field of slot ${slot} changed`)
  }
  records.set(slots[0] as number, KEEP_ALIVE_BY, Infinity)
  t.equal(records.get(slots[0] as number, KEEP_ALIVE_BY), Infinity)
})

t.test('a closed slot is opened again with every field at 0, before a new one', async t => {
  const records = new Records()
  const [first, second] = [records.open(), records.open()]
  fill(records, first)
  fill(records, second)
  records.close(first)
  records.close(second)
  const again = [records.open(), records.open()]
  t.strictSame(new Set(again), new Set([first, second]))
  for (const slot of again) t.strictSame(fields(records, slot), EMPTY)
  t.notOk([first, second].includes(records.open()))
})

t.test('what a slot has stays while others are opened', async t => {
  const records = new Records()
  const first = records.open()
  fill(records, first)
  const before = fields(records, first)
  for (let slot = 1; slot < 2 * CHUNK; slot++) records.open()
  t.strictSame(fields(records, first), before)
})

t.test('a column is one integer of all slots', async t => {
  const records = new Records()
  const slot = records.open()
  const column = records.column(HOLD_ENTRY)
  column.set(slot, 7)
  t.equal(records.getInteger(slot, HOLD_ENTRY), 7)
  t.equal(records.getInteger(slot, LIFE_ENTRY), 0)
  records.setInteger(slot, HOLD_ENTRY, 8)
  t.equal(column.get(slot), 8)
})

t.test('a number is added to one field of all', async t => {
  const records = new Records()
  const slots = Array.from({ length: CHUNK + 2 }, () => records.open())
  for (const slot of slots) records.set(slot, CREATED_AT, slot)
  records.addToAll(KEEP_ALIVE_BY, 5)
  t.ok(slots.every(slot => records.get(slot, KEEP_ALIVE_BY) === 5 && records.get(slot, CREATED_AT) === slot))
})

t.test('slots never outnumber the most that were open at once, and no two are the same', async () => {
  fc.assert(
    fc.property(fc.array(fc.option(fc.nat(20), { freq: 3 }), { maxLength: 100 }), steps => {
      const records = new Records()
      const open: number[] = []
      let most = 0
      for (const step of steps) {
        if (step === null) {
          const slot = records.open()
          if (open.includes(slot)) throw new Error(`${slot} was open already`)
          open.push(slot)
          most = Math.max(most, open.length)
          if (slot >= most) throw new Error(`${slot} while ${most - 1} would do`)
        } else if (open.length > 0) {
          records.close(...(open.splice(step % open.length, 1) as [number]))
        }
      }
    })
  )
})
