-- deletePool: a pool ends with all that is in it. What it holds is freed by another thread of the server.
-- Answers deleted with its entry in the list of pools; unknown-pool. O(1).

-- The fence is remembered for so long after the server's clock has passed it: a failover may set that back a little.
local REMEMBERED_MS = 86400000

function verbs.deletePool()
  local server = now - call('HGET', POOL, 'ahead')
  local passed = max(0, floor(policy.fence / FENCES_PER_MS) - server)
  call('SET', POOL .. ':fence', policy.fence, 'PX', passed + REMEMBERED_MS)
  local entry = call('HGET', POOL, 'entry')
  for _, node in ipairs(call('ZRANGE', NODES, 0, -1)) do
    call('PUBLISH', 'keypool:' .. string.match(node, '^[^.]*'), string.match(POOL, '{(.*)}'))
  end
  call('UNLINK', POOL, KEYS_, STATES[FREE], STATES[LEASED], STATES[COOLING], HOLDS, LIVES, RETIRED, AT, OF, LINE, NODES,
    WAITS, SCOPES, SERVED, KEPT, ENDS)
  return { 'deleted', entry }
end
