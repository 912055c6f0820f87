-- Redis' time in microseconds, what was handed back, and the version of the last change: that of the node which holds the app's keys, so that it is the
-- claims' own also in a Cluster.
--
-- KEYS  fence, handed, version, and one that is nobody's where something is to be written as well: a Redis that takes no claims
--       refuses that, too
-- ARGV  the version of the last change that is known, '' for none; another text where nothing is known
-- Reply the time alone where nothing is new, as most often

--- @include "clock"
--- @include "text-at"

if KEYS[4] then redis.call('SET', KEYS[4], '1', 'PX', 1) end
local handed, version = redis.call('HGETALL', KEYS[2]), textAt(KEYS[3])
if #handed == 0 and version == ARGV[1] then return micros end
return { micros, handed, version }
