-- Part of every script: the clock, the epoch and how values are written.
-- ARGV 1 now in µs; empty: the server's clock
-- A script's own arguments begin at ARGV[2]. Names in capitals that no script
-- declares, prefixes of keys and rules, are put in before it is loaded.

local call = redis.call

local now = tonumber(ARGV[1])
if not now then
  local time = call('TIME')
  now = tonumber(time[1]) * 1000000 + tonumber(time[2])
end

-- Times and scores are doubles; tostring would keep 14 of their 16 digits.
local function us(time)
  return string.format('%d', time)
end

local function ms(duration)
  return string.format('%d', math.ceil(duration / 1000))
end

-- A missing field reads as false and an unset one as ''; both become nil.
local function set(field)
  if field and field ~= '' then
    return field
  end
end

-- Whether this is the present life of this server's data: a restart and a failover both begin
-- another. Read inside the script, because arguments built before a restart may
-- run after it. The run id would do but for a server that is demoted, loses
-- writes and is promoted again under the same one.
local function is_epoch(name)
  if EMBEDDED ~= '' then
    return name == EMBEDDED
  end
  return name and string.find(call('INFO', 'replication'), 'master_replid:' .. name, 1, true) ~= nil
end
