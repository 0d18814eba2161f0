"""Tests of timeloom; the folders mirror csrc/ and python/timeloom/, reference/ is the measure."""
