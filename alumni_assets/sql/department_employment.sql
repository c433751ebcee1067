-- Which department employs the most alumni, and how are they rated on average?
--
-- alumni: how many work there; alumni_share: the same as a share of all alumni, from 0 to 1; mean_rating: their
-- average performance rating, in full precision; sd_rating: the sample standard deviation of their ratings, null for
-- a single alumnus.
--
-- Reads: alumni. Order: most alumni first, then by department.
SELECT
    department,
    count(*) AS alumni,
    CAST(count(*) AS double) / sum(count(*)) OVER () AS alumni_share,
    avg(CAST(performance_rating AS double)) AS mean_rating,
    stddev_samp(CAST(performance_rating AS double)) AS sd_rating
FROM alumni
GROUP BY department
ORDER BY alumni DESC, department
