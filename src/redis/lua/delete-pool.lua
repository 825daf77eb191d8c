-- deletePool: a pool ends with all that is in it. What it holds is freed by another thread of the server.
-- Answers deleted with its entry in the list of pools; unknown-pool. O(1).

-- By then the server's clock is beyond any fence of the pool.
local REMEMBERED_MS = 86400000

function verbs.deletePool()
  call('SET', POOL .. ':fence', policy.fence, 'PX', REMEMBERED_MS)
  local entry = call('HGET', POOL, 'entry')
  for _, node in ipairs(call('ZRANGE', NODES, 0, -1)) do
    call('PUBLISH', 'keypool:' .. string.match(node, '^[^.]*'), string.match(POOL, '{(.*)}'))
  end
  call('UNLINK', POOL, KEYS_, STATES[FREE], STATES[LEASED], STATES[COOLING], HOLDS, LIVES, RETIRED, AT, OF, LINE, NODES,
    WAITS, SCOPES, SERVED, KEPT, ENDS)
  return { 'deleted', entry }
end
