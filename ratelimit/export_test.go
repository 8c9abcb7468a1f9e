package ratelimit

// The decoders, for their fuzz targets.
var (
	DecodeVerdict = decodeVerdict
	DecodeLimits  = decodeLimits
	DecodeWaiting = decodeWaiting
	DecodeRow     = decodeRow
	DecodeWord    = decodeWord
	DecodeBool    = decodeBool
)
