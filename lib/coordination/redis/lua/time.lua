-- Redis' time in microseconds, and what was handed back: that of the node which holds the app's keys, so that it is the
-- claims' own also in a Cluster.
--
-- KEYS  fence, handed, and one that is nobody's where something is to be written as well: a Redis that takes no claims
--       refuses that, too

--- @include "clock"

if KEYS[3] then redis.call('SET', KEYS[3], '1', 'PX', 1) end
return { micros, redis.call('HGETALL', KEYS[2]) }
