package ergane

import (
	"cmp"
	"slices"
	"strings"
)

// Tag is one key and value of a workgroup or session.
type Tag struct {
	Key   string
	Value string
}

// MaxTags is how many tags a resource may have.
const MaxTags = 50

// reservedTags is the prefix of keys that AWS reserves for itself.
const reservedTags = "aws:"

// WithTags returns tags with those of set added, or replaced if the key exists,
// sorted by key. It fails with CodeInvalid if set has a key that is empty,
// reserved or repeated, or if there would be more than MaxTags.
func WithTags(tags, set []Tag) ([]Tag, error) {
	given := map[string]bool{}
	for _, t := range set {
		switch {
		case t.Key == "":
			return nil, Errorf(CodeInvalid, "A tag needs a key.")
		case strings.HasPrefix(strings.ToLower(t.Key), reservedTags):
			return nil, Errorf(CodeInvalid, "Tag keys that begin with %q are reserved.", reservedTags)
		case given[t.Key]:
			return nil, Errorf(CodeInvalid, "The tag key %q is given twice.", t.Key)
		}
		given[t.Key] = true
	}
	all := slices.DeleteFunc(slices.Clone(tags), func(t Tag) bool { return given[t.Key] })
	all = append(all, set...)
	if len(all) > MaxTags {
		return nil, Errorf(CodeInvalid, "There would be %d tags; a resource has at most %d.", len(all), MaxTags)
	}
	slices.SortFunc(all, func(a, b Tag) int { return cmp.Compare(a.Key, b.Key) })
	return all, nil
}

// WithoutTags returns tags without those of the keys; unknown keys are ignored.
func WithoutTags(tags []Tag, keys []string) []Tag {
	return slices.DeleteFunc(slices.Clone(tags), func(t Tag) bool { return slices.Contains(keys, t.Key) })
}
