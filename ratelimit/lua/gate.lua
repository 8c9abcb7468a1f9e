-- Part of every script: the clock, the epoch and the rules.
-- ARGV 1 now in µs; empty: the server's clock
--      2 epoch of an embedded server; empty: the server's run id
--      3 µs a place counts            4 µs a service window is open
--      5 µs an ended job is kept      6 µs a grant lives
--      7 µs the rate may be booked ahead
--      8 default limit                9 default rate per second
-- A script's own arguments begin at ARGV[10].

local call = redis.call

local now = tonumber(ARGV[1])
if not now then
  local time = call('TIME')
  now = tonumber(time[1]) * 1000000 + tonumber(time[2])
end

local span, service, retention = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local life, horizon = tonumber(ARGV[6]), tonumber(ARGV[7])

-- Times and scores are doubles; tostring would keep 14 of their 16 digits.
local function us(time)
  return string.format('%.0f', time)
end

local function ms(duration)
  return string.format('%.0f', math.ceil(duration / 1000))
end

-- A missing field reads as false and an unset one as ''; both become nil.
local function set(field)
  if field and field ~= '' then
    return field
  end
end

-- The present life of this server. Read inside the script, because arguments
-- built before a restart may run after it.
local function epoch()
  if ARGV[2] ~= '' then
    return ARGV[2]
  end
  local info = call('INFO', 'server')
  local _, start = string.find(info, 'run_id:', 1, true)
  return start and string.sub(info, start + 1, start + 40) or ''
end

-- Whether a policy's version is above the stored one. Versions are padded to
-- one length, so they compare as text.
local function newer(hash, version)
  local stored = call('HGET', hash, 'version')
  return not stored or version > stored
end
