-- view: a pool as it stands.
-- Answers pool with the policy, the counts and how many keys of the key space are used; unknown-pool. O(1).
function verbs.view()
  return {
    'pool',
    call('HMGET', POOL, 'leaseMs', 'maxHoldMs', 'keepAliveMs', 'alphabet', 'length', 'prefix', 'reuseDeleted', 'maxKeys'),
    counts(),
    tonumber(call('HGET', POOL, 'used'))
  }
end
