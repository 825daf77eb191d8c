-- unregister: a pool that is no more leaves the list of pools, unless it has been made anew.
-- ARGV 1 name, 2 entry
-- O(1).
if redis.call('HGET', KEYS[1], ARGV[1]) == ARGV[2] then redis.call('HDEL', KEYS[1], ARGV[1]) end
return { 'unregistered' }
