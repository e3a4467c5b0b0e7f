package engine

import (
	"net/url"
	"slices"
	"strings"
)

// Downloads reports whether Spark, with these properties of a session, downloads
// something from another machine before it is ready: packages, or files whose
// address is not on this machine.
func Downloads(asked map[string]string) bool {
	allowed, _, err := CheckProperties(asked)
	if err != nil {
		return false
	}
	if strings.TrimSpace(allowed["spark.jars.packages"]) != "" {
		return true
	}
	for _, key := range []string{"spark.jars", "spark.files", "spark.archives", "spark.submit.pyFiles"} {
		if slices.ContainsFunc(strings.Split(allowed[key], ","), isElsewhere) {
			return true
		}
	}
	return false
}

func isElsewhere(address string) bool {
	u, err := url.Parse(strings.TrimSpace(address))
	return err != nil || u.Scheme != "" && u.Scheme != "file" && u.Scheme != "local"
}
