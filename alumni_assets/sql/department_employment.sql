-- Which department employs the most alumni, and how are they rated on average?
--
-- alumni: how many work there; alumni_share: the same as a share of all alumni, from 0 to 1; mean_rating: their
-- average performance rating, in full precision; sd_rating: the sample standard deviation of their ratings, null for
-- a single alumnus, the same in whatever order the rows are read.
--
-- Reads: alumni. Order: most alumni first, then by department.
SELECT
    department,
    count(*) AS alumni,
    CAST(count(*) AS double) / sum(count(*)) OVER () AS alumni_share,
    avg(CAST(performance_rating AS double)) AS mean_rating,
    CASE
        WHEN count(*) > 1 THEN sqrt(
            CAST(
                count(*) * sum(CAST(performance_rating AS bigint) * CAST(performance_rating AS bigint))
                - sum(CAST(performance_rating AS bigint)) * sum(CAST(performance_rating AS bigint)) AS double
            ) / CAST(count(*) * (count(*) - 1) AS double)
        )
    END AS sd_rating
FROM alumni
GROUP BY department
ORDER BY alumni DESC, department
