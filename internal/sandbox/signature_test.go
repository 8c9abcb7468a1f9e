package sandbox

import (
	"encoding/json"
	"net/url"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSignMatchesThePublishedVectors(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("testdata/signatures.json")
	require.NoError(t, err)
	var file struct {
		Token   string
		Vectors []struct {
			Name, URL, Signature string
			Form                 url.Values
			Valid                bool
		}
	}
	require.NoError(t, json.Unmarshal(raw, &file))
	require.NotEmpty(t, file.Vectors)
	for _, v := range file.Vectors {
		t.Run(v.Name, func(t *testing.T) {
			got := sign(file.Token, v.URL, v.Form)
			require.Equal(t, v.Valid, got == v.Signature, "%s", got)
			require.Equal(t, got, sign(file.Token, v.URL+"#rc=5&rp=all", v.Form), "the fragment is no part of it")
		})
	}
}

func TestSignCountsRepeatedValuesOnce(t *testing.T) {
	t.Parallel()
	require.Equal(t, "IK+Dwps556ElfBT0I3Rgjkr1wJU=",
		sign("12345", "https://mycompany.com/myapp.php?foo=1&bar=2", url.Values{
			"Sid": {"CA123"}, "SidAccount": {"AC123"}, "Digits": {"5678", "1234", "1234"},
		}))
}
