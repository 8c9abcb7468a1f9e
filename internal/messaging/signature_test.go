package messaging_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/internal/messaging"
)

type vector struct {
	Name      string
	URL       string
	Form      url.Values
	Body      *string
	Signature string
	Valid     bool
}

func (v vector) body() []byte {
	if v.Body == nil {
		return nil
	}
	return []byte(*v.Body)
}

func loadVectors(t testing.TB) (token string, vectors []vector) {
	for _, name := range []string{"signature-vectors.json", "signature-vectors-more.json"} {
		raw, err := os.ReadFile("testdata/" + name)
		require.NoError(t, err)
		var file struct {
			Token   string
			Vectors []vector
		}
		require.NoError(t, json.Unmarshal(raw, &file))
		require.NotEmpty(t, file.Vectors)
		token, vectors = file.Token, append(vectors, file.Vectors...)
	}
	return token, vectors
}

func TestVerifyPublishedVectors(t *testing.T) {
	t.Parallel()
	token, vectors := loadVectors(t)
	for _, v := range vectors {
		t.Run(v.Name, func(t *testing.T) {
			t.Parallel()
			ok := func(token string) bool {
				return messaging.NewVerifier(token).Verify(v.URL, v.Form, v.body(), v.Signature)
			}
			require.Equal(t, v.Valid, ok(token))
			require.False(t, ok("other token"))
		})
	}
}

func TestVerifyRefusesWhatWasChanged(t *testing.T) {
	t.Parallel()
	token, vectors := loadVectors(t)
	verifier := messaging.NewVerifier(token)
	for _, v := range vectors {
		if !v.Valid {
			continue
		}
		require.False(t, verifier.Verify(v.URL+"x", v.Form, v.body(), v.Signature) && !strings.Contains(v.URL, "#"), v.Name)
		require.False(t, verifier.Verify(v.URL, v.Form, v.body(), ""), v.Name)
		require.False(t, verifier.Verify(v.URL, v.Form, v.body(), v.Signature[1:]), v.Name)
		if v.Body != nil {
			require.False(t, verifier.Verify(v.URL, nil, []byte(*v.Body+" "), v.Signature), v.Name)
			continue
		}
		form := url.Values{"Extra": {""}}
		for name, values := range v.Form {
			form[name] = values
		}
		require.False(t, verifier.Verify(v.URL, form, nil, v.Signature), v.Name)
	}
}

func TestVerifyCountsEmptyFields(t *testing.T) {
	t.Parallel()
	const at = "https://example.com/s"
	with := messaging.Signature("t", at, url.Values{"A": {"1"}, "B": {""}})
	require.NotEqual(t, with, messaging.Signature("t", at, url.Values{"A": {"1"}}))
	require.True(t, messaging.NewVerifier("t").Verify(at, url.Values{"B": {""}, "A": {"1"}}, nil, with))
}

func TestVerifyWhileATokenIsRotated(t *testing.T) {
	t.Parallel()
	const at = "https://example.com/s"
	form := url.Values{"A": {"1"}}
	verifier := messaging.NewVerifier("old", "", "new")
	for token, want := range map[string]bool{"old": true, "new": true, "other": false, "": false} {
		require.Equal(t, want, verifier.Verify(at, form, nil, messaging.Signature(token, at, form)), token)
	}
	require.False(t, messaging.NewVerifier().Verify(at, form, nil, messaging.Signature("", at, form)))
}

func TestVerifyFindsThePort(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		configured, signed string
		want               bool
	}{
		{"https://[2001:db8::1]/s", "https://[2001:db8::1]:443/s", true},
		{"https://[2001:db8::1]:443/s", "https://[2001:db8::1]/s", true},
		{"https://[2001:db8::1]:8443/s", "https://[2001:db8::1]:8443/s", true},
		{"http://[::1]?a=1", "http://[::1]:80?a=1", true},
		{"https://user:p@[::1]/s", "https://user:p@[::1]:443/s", true},
		{"https://example.com", "https://example.com:443", true},
		{"HTTPS://example.com/s", "HTTPS://example.com:443/s", true},
		{"https://example.com/s", "https://example.com:80/s", false},
		{"https://example.com:8443/s", "https://example.com:443/s", false},
		{"https://example.com/s?at=1:443", "https://example.com/s?at=1", false},
		{"https://example.com/s", "https://example.com/s#rc=5", true},
	} {
		sig := messaging.Signature("t", c.signed, nil)
		require.Equal(t, c.want, messaging.NewVerifier("t").Verify(c.configured, nil, nil, sig), "%+v", c)
	}
}

func TestVerifyJSONNeedsItsDigest(t *testing.T) {
	t.Parallel()
	verifier := messaging.NewVerifier("t")
	body := []byte(`{"a":1}`)
	sum := sha256.Sum256(body)
	digest := hex.EncodeToString(sum[:])
	for at, want := range map[string]bool{
		"https://example.com/s?bodySHA256=" + digest:                  true,
		"https://example.com/s?bodySHA256=" + strings.ToUpper(digest): false,
		"https://example.com/s?bodysha256=" + digest:                  false,
		"https://example.com/s":                                       false,
		"https://example.com/s#bodySHA256=" + digest:                  false,
	} {
		require.Equal(t, want, verifier.Verify(at, nil, body, messaging.Signature("t", at, nil)), at)
	}
}

func FuzzVerify(f *testing.F) {
	token, vectors := loadVectors(f)
	for _, v := range vectors {
		f.Add(token, v.URL, v.Form.Encode(), v.body(), v.Signature)
	}
	f.Add("t", "https://[::1]:443/?'#x", "a=&a=&b", []byte("{}"), "")
	f.Fuzz(func(t *testing.T, token, at, query string, body []byte, signature string) {
		verifier := messaging.NewVerifier("first", token)
		form, _ := url.ParseQuery(query)
		verifier.Verify(at, form, body, signature)
		if token == "" {
			return
		}
		require.True(t, verifier.Verify(at, form, nil, messaging.Signature(token, at, form)))

		if body == nil {
			return
		}
		path, _, _ := strings.Cut(at, "#")
		path, _, _ = strings.Cut(path, "?")
		sum := sha256.Sum256(body)
		digested := path + "?bodySHA256=" + hex.EncodeToString(sum[:])
		require.True(t, verifier.Verify(digested, form, body, messaging.Signature(token, digested, nil)))
		require.False(t, verifier.Verify(digested, form, append(body, 'x'), messaging.Signature(token, digested, nil)))
	})
}
