-- Which campus produces the most excellent employees?
--
-- excellent: how many of the campus's alumni are rated 5; excellent_share: the same as a share of the
-- campus's alumni, from 0 to 1, so that a large campus does not win by its size alone.
--
-- Reads: alumni. Order: most excellent alumni first, then the greater share, then by campus.
SELECT
    dmc_campus,
    count(*) AS alumni,
    count(CASE WHEN performance_rating = 5 THEN 1 END) AS excellent,
    CAST(count(CASE WHEN performance_rating = 5 THEN 1 END) AS double) / count(*) AS excellent_share
FROM alumni
GROUP BY dmc_campus
ORDER BY excellent DESC, excellent_share DESC, dmc_campus
