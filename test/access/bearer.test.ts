import t from 'tap'
import { covers, isGranted, ROLES } from '../../src/access/bearer.ts'

t.test('a role covers itself and those before it', async t => {
  for (const [i, role] of ROLES.entries()) {
    const covered = ROLES.filter(needed => covers({ name: 'x', role, pools: '*' }, needed))
    t.strictSame(covered, ROLES.slice(0, i + 1))
  }
})

t.test('pools are granted by name, or all', async t => {
  const some = { name: 'x', role: 'admin', pools: new Set(['a']) } as const
  t.ok(isGranted(some, 'a'))
  t.notOk(isGranted(some, 'b'))
  t.ok(isGranted({ ...some, pools: '*' }, 'b'))
  t.notOk(isGranted({ ...some, pools: new Set() }, 'a'))
})
