package engine_test

import (
	"testing"

	"github.com/ergane-dev/ergane/internal/engine"
)

func TestSessionsThatDownloadAreKnown(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		properties map[string]string
		want       bool
	}{
		"nothing asked for":      {nil, false},
		"another property":       {map[string]string{"spark.sql.shuffle.partitions": "3"}, false},
		"packages":               {map[string]string{"spark.jars.packages": "a:b:1"}, true},
		"no packages":            {map[string]string{"spark.jars.packages": " "}, false},
		"a jar of the machine":   {map[string]string{"spark.jars": "/jars/a.jar, file:///jars/b.jar,local:///c.jar"}, false},
		"a jar from S3":          {map[string]string{"spark.jars": "/jars/a.jar, s3://bucket/b.jar"}, true},
		"a file from a server":   {map[string]string{"spark.jars": "https://host/b.jar"}, true},
		"what Spark will refuse": {map[string]string{"spark.jars": "%zz:"}, true},
	} {
		if got := engine.Downloads(c.properties); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}
