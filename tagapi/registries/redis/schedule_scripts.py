"""What is done with schedules in one step on the server: Lua, each script atomic and safe to send again.

Keys, all below `tagapi:`. `schedule:<id>` is a hash of number, version and schedule; `schedules:numbers` counts;
`schedules:due` is a sorted set of ids by microseconds, and `schedules:<its key>` one by number for each list.
"""

from tagapi.registries.redis.scripts import ADMITTING

_TIMED = """
local P = 'tagapi:'
local function timed(id, due)
  if due == '' then redis.call('ZREM', P..'schedules:due', id) else redis.call('ZADD', P..'schedules:due', due, id) end
end
"""

INSERT = (
    _TIMED
    + """
-- ARGV: id, the owner's list, how many may be in it, version, schedule, due or '', lists, until when (in
--       microseconds) somebody waits for the answer.
-- Answers {'known'} or {'full', of the owner} or {'new', number}, or {'late'}, having stored nothing.
local id = ARGV[1]
if redis.call('EXISTS', P..'schedule:'..id) == 1 then return {'known'} end
local time = redis.call('TIME')
if time[1] * 1000000 + time[2] > tonumber(ARGV[8]) then return {'late'} end
local has = redis.call('ZCARD', P..'schedules:'..ARGV[2])
if has >= tonumber(ARGV[3]) then return {'full', has} end
local number = redis.call('INCR', P..'schedules:numbers')
redis.call('HSET', P..'schedule:'..id, 'number', number, 'version', ARGV[4], 'schedule', ARGV[5])
timed(id, ARGV[6])
for _, name in ipairs(cjson.decode(ARGV[7])) do redis.call('ZADD', P..'schedules:'..name, number, id) end
return {'new', number}
"""
)

SWAP = (
    _TIMED
    + """
-- ARGV: id, version before, version after, schedule, due or ''. Answers 1, or 0 where it has another version.
local id = ARGV[1]
if redis.call('HGET', P..'schedule:'..id, 'version') ~= ARGV[2] then return 0 end
redis.call('HSET', P..'schedule:'..id, 'version', ARGV[3], 'schedule', ARGV[4])
timed(id, ARGV[5])
return 1
"""
)

BEGIN = (
    ADMITTING
    + _TIMED
    + """
-- ARGV: what ADMIT takes, then id, version before, version after, schedule, due or ''.
-- Answers {'changed'}, having stored nothing, or what ADMIT does.
local schedule = ARGV[13]
if redis.call('HGET', P..'schedule:'..schedule, 'version') ~= ARGV[14] then return {'changed'} end
local told = admit()
if told[1] == 'new' or told[1] == 'known' then
  redis.call('HSET', P..'schedule:'..schedule, 'version', ARGV[15], 'schedule', ARGV[16])
  timed(schedule, ARGV[17])
end
return told
"""
)

REMOVE = (
    _TIMED
    + """
-- ARGV: id, version or '', lists. Answers 1, or 0 where it has another version or is gone.
local id = ARGV[1]
local version = redis.call('HGET', P..'schedule:'..id, 'version')
if not version or (ARGV[2] ~= '' and version ~= ARGV[2]) then return 0 end
redis.call('DEL', P..'schedule:'..id)
timed(id, '')
for _, name in ipairs(cjson.decode(ARGV[3])) do redis.call('ZREM', P..'schedules:'..name, id) end
return 1
"""
)

PAGE = """
-- ARGV: list, highest number, offset, limit. Answers {total, {number, version, schedule}...}, newest first.
local P = 'tagapi:'
local list = P..'schedules:'..ARGV[1]
local page = {redis.call('ZCARD', list)}
for _, id in ipairs(redis.call('ZREVRANGEBYSCORE', list, ARGV[2], '-inf', 'LIMIT', ARGV[3], ARGV[4])) do
  page[#page + 1] = redis.call('HMGET', P..'schedule:'..id, 'number', 'version', 'schedule')
end
return page
"""
