-- register: a pool is to be in the list of pools, a hash of names and entries under KEYS[1].
-- ARGV 1 name, 2 entry: new each time, so that a deletion of the pool as it was before takes no later one off the list;
--   3 how many pools there may be
-- Answers registered or too-many-pools. O(1).
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 and redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[3]) then
  return { 'too-many-pools' }
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
return { 'registered' }
