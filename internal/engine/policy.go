package engine

import (
	"maps"
	"slices"
	"strings"
	"unicode"

	"github.com/ergane-dev/ergane"
)

// CheckProperties checks the properties that a client asks for (SparkProperties,
// AdditionalConfigs, spark-defaults) against the rules and returns them with
// normalised keys. Keys that do not begin with spark. have no effect on Athena;
// they are returned in ignored, sorted. The error for a refused key has
// ergane.CodeInvalid and names the key and the reason; of several, the first key.
// Values are left to Spark, except those that a rule restricts.
func CheckProperties(asked map[string]string) (allowed map[string]string, ignored []string, err error) {
	allowed = map[string]string{}
	for _, raw := range slices.Sorted(maps.Keys(asked)) {
		key, value := normalise(raw), asked[raw]
		if i := strings.IndexFunc(key, isOdd); i >= 0 {
			return nil, nil, refused(raw, "its name contains an invalid character")
		}
		if strings.ContainsRune(value, 0) {
			return nil, nil, refused(raw, "its value contains a NUL character")
		}
		if !strings.HasPrefix(strings.ToLower(key), "spark.") {
			ignored = append(ignored, raw)
			continue
		}
		if _, twice := allowed[key]; twice {
			return nil, nil, refused(raw, "it is given twice")
		}
		verdict := judge(key)
		switch {
		case verdict.allow, verdict.only != "" && strings.TrimSpace(value) == verdict.only:
		case verdict.why != "":
			return nil, nil, refused(raw, verdict.why)
		default:
			return nil, nil, refused(raw, "it is not in the list of properties that sessions may set")
		}
		allowed[key] = value
	}
	return allowed, ignored, nil
}

func refused(key, why string) error {
	return ergane.Errorf(ergane.CodeInvalid, "Spark property %q cannot be set: %s.", key, why)
}

// normalise trims what Spark trims, too, so that a key means the same here and
// there. Spark distinguishes upper and lower case; judge does not, which can only
// refuse more.
func normalise(key string) string { return strings.TrimFunc(key, unicode.IsSpace) }

func isOdd(r rune) bool { return r > unicode.MaxASCII || r <= ' ' || r == '=' || r == 0x7f }

// judge finds the rule for a key: the one with the longest pattern.
func judge(key string) rule {
	key = strings.ToLower(key)
	var best rule
	for _, r := range rules {
		pattern := strings.ToLower(r.pattern)
		prefix, wild := strings.CutSuffix(pattern, "*")
		if key == pattern || wild && strings.HasPrefix(key, prefix) {
			if len(r.pattern) > len(best.pattern) || best.pattern == "" {
				best = r
			}
		}
	}
	return best
}
